"""Instruction pairs in Alpaca's format, made of Python's documentation: what does it do, how to call it, which is it.

Everything is drawn by hash of the entry's name, so a pair stays the same when pages come or go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from tasks.pydoc_entries import Entry

WHAT = (
    "What does `{name}` do?",
    "Explain `{name}`.",
    "What is `{name}` for?",
    "Describe `{name}` briefly.",
)
CALL = ("How do I call `{name}`?", "What are the arguments of `{name}`?")
WHICH = ("Which {kind} of `{module}` does this?", "Name the {kind} of `{module}` that fits this description.")

Pair = dict[str, str]


def question(entry: Entry) -> str:
    """Return the plain question about an entry, as evaluation asks it."""
    return WHAT[0].format(name=entry.qualified)


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
    return int.from_bytes(hashlib.sha256(f"{salt}\0{entry.signature}".encode()).digest()[:8], "big")
