"""Tasks whose answers a program can check, made from documentation pages or from numbers.

Every choice is made by a hash, so that a task stays the same when other pages are added or removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.synthetic.instructions import CALL, worth_asking
from tasks.synthetic.pydoc import Entry

TaskName = Literal["call", "module", "copy", "arithmetic"]

LARGEST = 30  # of the numbers in sums


@dataclass(frozen=True)
class Task:
    """A question with its answer; `input` is the text that it is about, `place` where it comes from."""

    instruction: str
    input: str
    answer: str
    place: str


def of_entry(kind: TaskName, entry: Entry, limit: int) -> Task | None:
    """Return the task about a documented name; None if it is not worth a question, or too long."""
    if not worth_asking(entry) or not (summary := entry.summary(limit)):
        return None
    if kind == "call":
        return Task(CALL[0].format(name=entry.qualified), "", f"`{entry.signature}`", entry.qualified)
    if kind == "copy":
        return Task("Repeat this name.", f"`{entry.qualified}`", f"`{entry.qualified}`", entry.qualified)
    page = f"{entry.signature}\n{summary}"
    return Task(f"Which module defines `{entry.name}`?", page, f"`{entry.module}`", entry.qualified)


def sums() -> Iterator[Task]:
    """Yield every sum of two numbers up to LARGEST, smallest first."""
    for total in range(2 * LARGEST + 1):
        for first in range(max(0, total - LARGEST), min(total, LARGEST) + 1):
            other = total - first
            yield Task(f"What is {first} + {other}?", "", str(total), f"{first} + {other}")
