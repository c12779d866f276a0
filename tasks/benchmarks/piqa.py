"""PIQA (Bisk et al. 2020): which of two ways reaches a practical goal."""

from __future__ import annotations

from tasks.benchmarks.base import Benchmark, Item, Row
from tasks.benchmarks.fields import place, text


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a row with goal, sol1, sol2 and label."""
    goal, ways = text(row, "goal"), (text(row, "sol1"), text(row, "sol2"))
    gold = place(row, ("label",), 2)
    return Item((f"Question: {goal}\nAnswer:",), ways, (gold,), question=goal, answer=ways[gold])


PIQA = Benchmark("piqa", item, folder=("plain_text",), headline="acc_norm")
