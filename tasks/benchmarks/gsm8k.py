"""GSM8K (Cobbe et al. 2021): word problems; the model writes a solution, and the number that ends it must be right."""

from __future__ import annotations

import re
from typing import Any

from tasks.benchmarks.base import Answered, BadRow, Benchmark, Item, Metric, Row
from tasks.benchmarks.fields import text

_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_ANY_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_IGNORED = (re.compile(","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))
_NONE = "[invalid]"


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a problem; its answer is the solution with the number after `####`."""
    question, answer = text(row, "question"), text(row, "answer")
    if "#### " not in answer:
        raise BadRow("answer has no number after ####")
    return Item((f"Question: {question}\nAnswer:",), (answer,), question=question, answer=answer)


def values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return whether the number is right: the one after `####`, and the last number of the text."""
    strict = _STRICT.findall(answered.text)
    numbers = [first or second for first, second in _ANY_NUMBER.findall(answered.text)]
    return {
        "exact_match": float(_plain(strict[0].strip() if strict else _NONE) == _plain(item.choices[0])),
        "exact_match_flexible": float(_plain(numbers[-1].strip() if numbers else _NONE) == _plain(item.choices[0])),
    }


def _plain(answer: str) -> str:
    for ignored in _IGNORED:
        answer = ignored.sub("", answer)
    return answer.lower()


GSM8K = Benchmark(
    "gsm8k",
    item,
    "generate",
    metrics=(
        Metric("exact_match", key="exact_match,strict-match"),
        Metric("exact_match_flexible", key="exact_match,flexible-extract"),
    ),
    values=values,
    evaluated="test",
    excludes=False,
    shots=5,
    until=("Question:", "</s>", "<|im_end|>"),
    headline="exact_match",
    folder=("main",),
)
