"""The items of a benchmarks artifact as texts to look for: questions, right answers and choices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.corpus.benchmarks.item import Item

ITEMS = "items.parquet"


def passage(
    benchmark: str, name: str, question: str, answer: str, choices: Sequence[str], facts: Mapping[str, Any]
) -> Item:
    """Return the item to look for; where letters are asked, the choices that they stand for are among the facts."""
    return Item(benchmark, name, question, answer, tuple(facts.get("choices", choices)))


def official_passages(folder: Path) -> list[Item]:
    """Return all items of the artifact that can be asked; each is named by its number within its benchmark.

    The rows that only shots are drawn from are not looked for: they may be learned.
    """
    import pyarrow.parquet as pq

    columns = ["benchmark", "part", "question", "answer", "choices", "facts"]
    found: list[Item] = []
    numbers: dict[str, int] = {}
    for batch in pq.ParquetFile(folder / ITEMS).iter_batches(columns=columns):
        for row in batch.to_pylist():
            if row["part"] == "asked":
                number = numbers[row["benchmark"]] = numbers.get(row["benchmark"], -1) + 1
                given = row["question"], row["answer"], row["choices"], json.loads(row["facts"])
                found.append(passage(row["benchmark"], str(number), *given))
    return found
