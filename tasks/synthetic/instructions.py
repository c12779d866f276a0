"""Instruction pairs in Alpaca's format, made from the corpus: what a documented name does, and how a line ends.

Everything is drawn by hash of the entry's name, so a pair stays the same when pages come or go.
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
    """Yield the pairs of a page's entries; answers have at most `limit` characters, and none is asked twice.

    Special methods and private names are left out: they say the same on every page.
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
    """Yield at most `count` pairs in which a cut line of a page is the question and its end the answer, by hash.

    The plain forms are those in which benchmarks ask; they teach that an answer goes on where the question stopped.
    """
    cuts = sorted(set(cut_lines(text)), key=lambda cut: hash_draw("cut", cut[0]))
    for context, ending in cuts[:count]:
        form = FINISH[hash_draw("form", context) % len(FINISH)]
        given = "" if "{text}" in form else context
        yield {"instruction": form.replace("{text}", context), "input": given, "output": ending}


def worth_asking(entry: Entry) -> bool:
    """Whether an entry is a public name with a meaning of its own."""
    return not any(part.startswith("_") for part in entry.name.split("."))


def _once(asked: set[str], template: str, entry: Entry, given: str, answer: str) -> Iterator[Pair]:
    instruction = template.format(name=entry.qualified, module=entry.module, kind=entry.kind)
    if instruction + given not in asked:  # properties and overloads repeat a name
        asked.add(instruction + given)
        yield {"instruction": instruction, "input": given, "output": answer}


def _pick(templates: tuple[str, ...], entry: Entry, salt: str) -> str:
    return templates[_hash(entry, salt) % len(templates)]


def _hash(entry: Entry, salt: str) -> int:
    return hash_draw(salt, entry.signature)
