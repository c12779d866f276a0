"""An item of a benchmark: the question, the right answer, and the choices that may accompany it if it leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem, clean_hellaswag


@dataclass(frozen=True)
class Item:
    """One item of a benchmark: its name within it, the question (or context), the right answer, and all choices.

    Wrong answers alone are not looked for: a document that has only those does not reveal the right one, and most of
    them are phrases that occur everywhere.
    """

    benchmark: str
    name: str
    question: str
    answer: str = ""
    choices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The question followed by the answer, as a document would have them."""
        return f"{self.question}\n{self.answer}" if self.answer else self.question


def hellaswag_text(item: HellaSwagItem, name: str, benchmark: str = "hellaswag") -> Item:
    """Return the context with the right ending; WikiHow's markup, which pages do not have, is removed."""
    context = clean_hellaswag(f"{item.ctx_a} {item.ctx_b}")
    endings = tuple(map(clean_hellaswag, item.endings))
    return Item(benchmark, name, context, endings[item.label], endings)


def mmlu_text(item: MmluItem, name: str, benchmark: str = "mmlu") -> Item:
    """Return the question with the right choice."""
    return Item(benchmark, name, item.question, item.choices[item.answer], item.choices)


def hellaswag_texts(items: Sequence[HellaSwagItem]) -> list[Item]:
    """Return the items of a HellaSwag file, named by their number."""
    return [hellaswag_text(item, str(number)) for number, item in enumerate(items)]


def mmlu_texts(items: Sequence[MmluItem]) -> list[Item]:
    """Return the items of an MMLU folder, named by subject and by number, counted over all subjects."""
    return [mmlu_text(item, f"{item.subject}/{number}") for number, item in enumerate(items)]
