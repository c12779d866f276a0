"""Instruction pairs in Alpaca's format, made from the corpus: what a documented name does, and how a line ends.

Every choice is made by a hash of the entry or line, so a pair stays the same when other pages are added or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from data_lake.tables.draws import hash_draw
from tasks.synthetic.cloze import cut_lines
from tasks.synthetic.pydoc import Entry

WHAT = (
    "What does `{name}` do?",
    "Explain `{name}`.",
    "What is `{name}` for?",
    "Describe `{name}` briefly.",
)
CALL = ("How do I call `{name}`?", "What are the arguments of `{name}`?")
WHICH = ("Which {kind} of `{module}` does this?", "Name the {kind} of `{module}` that fits this description.")

FINISH = ("How does this line go on?", "Finish this line.", "Question: {text}\nAnswer:", "{text}")

Pair = dict[str, str]


def pairs_of(entries: Iterable[Entry], limit: int) -> Iterator[Pair]:
    """Yield the pairs of a page's entries; answers have at most `limit` characters, and no question is repeated.

    Special methods and private names are left out: their text is the same on every page.
    """
    asked: set[str] = set()
    for entry in entries:
        summary = entry.summary(limit)
        if not worth_asking(entry) or len(summary) < 20:
            continue
        yield from _once(asked, _pick(WHAT, entry, "what"), entry, "", summary)
        if len(entry.arguments) > 0 and "..." not in entry.arguments and len(entry.signature) <= limit:
            yield from _once(asked, _pick(CALL, entry, "call"), entry, "", f"`{entry.signature}`")
        if _hash(entry, "which") % 2 == 0:
            yield from _once(asked, _pick(WHICH, entry, "form"), entry, summary, f"`{entry.qualified}`")


def completions_of(text: str, count: int) -> Iterator[Pair]:
    """Yield at most `count` pairs, chosen by hash: a page's cut line is the question, its ending the answer.

    The forms with only the text are those of the benchmarks; they teach that an answer continues where the text stops.
    """
    cuts = sorted(set(cut_lines(text)), key=lambda cut: hash_draw("cut", cut[0]))
    for context, ending in cuts[:count]:
        form = FINISH[hash_draw("form", context) % len(FINISH)]
        given = "" if "{text}" in form else context
        yield {"instruction": form.replace("{text}", context), "input": given, "output": ending}


def worth_asking(entry: Entry) -> bool:
    """Return whether an entry is a public name, with no part that begins with an underscore."""
    return not any(part.startswith("_") for part in entry.name.split("."))


def _once(asked: set[str], template: str, entry: Entry, given: str, answer: str) -> Iterator[Pair]:
    instruction = template.format(name=entry.qualified, module=entry.module, kind=entry.kind)
    if instruction + given not in asked:  # properties and overloads have the same name several times
        asked.add(instruction + given)
        yield {"instruction": instruction, "input": given, "output": answer}


def _pick(templates: tuple[str, ...], entry: Entry, salt: str) -> str:
    return templates[_hash(entry, salt) % len(templates)]


def _hash(entry: Entry, salt: str) -> int:
    return hash_draw(salt, entry.signature)
