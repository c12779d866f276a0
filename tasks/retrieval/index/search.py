"""Searching an index: the passages that belong to a question, with where each comes from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tables.documents import shards
from data_lake.text.terms import distinct, terms
from tasks.retrieval.index.bm25 import Bm25

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 64
"""Groups of rows that stay in memory, of 256 kB each: 16 MB, however large the corpus is."""
COVERED = 0.35
"""How much of a question one passage has to have: the share of its terms, each weighed by its rarity.

On the demo, a passage has that for each question about held-out pages, and for 6 of 35 questions about anything else
(docs/ask.md). From 0.4 on it would be 99 % and 3, from 0.3 on 12.
"""
CONSIDERED = 20
"""Passages, at least, of which the best are chosen by BM25's score times how much of the question they have.

By BM25 alone, the first passage has the answer for 53 % of the demo's questions about held-out pages, in this order for
56 % (with passages of 80 words 58 and 64 %): a rare word counts more than a frequent one that occurs several times.
"""


@dataclass(frozen=True)
class Passage:
    """A passage and where it comes from; `start` and `end` are characters of the document's text."""

    number: int
    doc_id: str
    url: str | None
    source: str
    title: str | None
    date: str | None
    """When the page says it was published."""
    fetched_at: str | None
    start: int
    end: int
    text: str
    score: float
    """BM25's."""
    covered: float
    """How much of the question it has: the share of its terms, each weighed by its rarity."""


class Search:
    """An index in the lake that is open for questions."""

    def __init__(self, folder: Path) -> None:
        """Open it: nothing is read before it is needed but the footers of its tables."""
        import pyarrow.parquet as pq

        self._bm25 = Bm25(folder / "bm25")
        self._places: list[tuple[Path, int]] = []
        sizes = []
        for path in shards(folder / "passages"):
            described = pq.read_metadata(path)
            for group in range(described.num_row_groups):
                self._places.append((path, group))
                sizes.append(described.row_group(group).num_rows)
        self._first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._group = functools.lru_cache(KEPT)(_read_group)
        self._of_title = functools.lru_cache(1024)(lambda title: frozenset(terms(title)))  # of many passages each

    def find(self, question: str, count: int, least: float = COVERED) -> list[Passage]:
        """Return at most `count` passages, the best first.

        Nothing if no passage has at least `least` of the question.
        """
        ranked = self._bm25.find(terms(question), max(CONSIDERED, 2 * count))
        weights = {term: self._bm25.rarity(term) for term in distinct(question)}
        whole = sum(weights.values())
        found: list[tuple[int, float, float]] = []
        for number, score in ranked:
            group, place = self._at(number)
            there = terms(group["text"][place].as_py())
            named = self._of_title(group["title"][place].as_py() or "")
            covered = sum(weight for term, weight in weights.items() if term in there or term in named) / whole
            found.append((number, score, covered))
        if max((covered for _, _, covered in found), default=0.0) < least:
            return []
        found.sort(key=lambda one: (-one[1] * one[2], one[0]))
        return [self._passage(*one) for one in found[:count]]

    def numbered(self, numbers: Sequence[int]) -> list[Passage]:
        """Return passages by their numbers."""
        return [self._passage(number, 0.0, 0.0) for number in numbers]

    def _at(self, number: int) -> tuple[pa.Table, int]:
        """Return the group of rows that a passage is in, and its place there."""
        group = int(np.searchsorted(self._first, number, side="right")) - 1
        return self._group(*self._places[group]), number - int(self._first[group])

    def _passage(self, number: int, score: float, covered: float) -> Passage:
        group, place = self._at(number)
        row = group.slice(place, 1).to_pylist()[0]
        fetched = row["fetched_at"]
        names = ("doc_id", "url", "source", "title", "date", "start", "end", "text")
        return Passage(
            number=number,
            fetched_at=fetched.isoformat(timespec="seconds") if fetched else None,
            score=round(score, 4),
            covered=round(covered, 4),
            **{name: row[name] for name in names},
        )


def _read_group(path: Path, place: int) -> pa.Table:
    """Read a group of rows. The last ones stay in memory, as many questions have passages in common."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(place)
