"""WinoGrande (Sakaguchi et al. 2020): which of two names fills the blank, by how likely it makes the rest."""

from __future__ import annotations

from tasks.benchmarks.base import ACC, BadRow, Benchmark, Item, Row
from tasks.benchmarks.fields import place, text


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a row: the sentence up to its blank with each option, and the rest that follows both."""
    sentence, options = text(row, "sentence"), (text(row, "option1"), text(row, "option2"))
    before, blank, after = sentence.partition("_")
    if not blank or not after.strip():
        raise BadRow("sentence has no blank (_), or nothing after it")
    gold = place(row, ("answer",), 2, first=1)
    contexts = tuple(before + option for option in options)
    question = before + options[gold] + after
    return Item(contexts, (after.strip(),), (gold,), question=question, answer="")


WINOGRANDE = Benchmark("winogrande", item, metrics=(ACC,), folder=("winogrande_xl",))
