"""Judging items: which of their n-grams training documents have, and whether that makes them contaminated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.contamination.index import NgramIndex, Words


@dataclass(frozen=True)
class Contamination:
    """What was found of each item in training documents: one value per item; in `ignored`, one per index entry.

    ngrams: how many an item has. found: how many of them occur in training documents, without common phrases.
    documents: how many training documents have at least one. ignored: the n-gram occurs in more documents than the
    limit.
    """

    ngrams: np.ndarray
    found: np.ndarray
    documents: np.ndarray
    contaminated: np.ndarray
    ignored: np.ndarray

    @property
    def fraction(self) -> np.ndarray:
        """The share of each item's n-grams that was found; 0 for an item that has none."""
        return self.found / np.maximum(1, self.ngrams)

    def part(self, index: NgramIndex, begin: int, stop: int) -> Contamination:
        """Return the contamination of the items from number `begin` to before `stop`."""
        items, entries = slice(begin, stop), slice(int(index.first[begin]), int(index.first[stop]))
        return Contamination(
            self.ngrams[items],
            self.found[items],
            self.documents[items],
            self.contaminated[items],
            self.ignored[entries],
        )


def judge(index: NgramIndex, entries: np.ndarray, documents: np.ndarray, detection: DetectionConfig) -> Contamination:
    """Return the contamination from the hits in training documents: entry and document number of each, int64."""
    ignored = np.zeros(len(index), dtype=bool)
    ngram = index.phrases  # an n-gram that several items share counts as one
    if detection.max_documents:
        pairs = np.unique(np.stack([ngram[entries], documents]), axis=1)
        ignored = (np.bincount(pairs[0], minlength=len(index) and ngram.max() + 1) > detection.max_documents)[ngram]
    counts = ~ignored[entries]
    entries, documents = entries[counts], documents[counts]
    known = np.unique(entries)
    ngrams = index.ngram_counts
    weights = np.bincount(index.item[known], weights=index.weight[known], minlength=len(index.items)).astype(np.int64)
    found = np.minimum(weights, ngrams)
    owners = np.unique(np.stack([index.item[entries], documents]), axis=1)[0]
    share = found / np.maximum(1, ngrams)
    contaminated = (found > 0) & (share >= detection.min_share)
    return Contamination(ngrams, found, np.bincount(owners, minlength=len(index.items)), contaminated, ignored)


def contamination_of(
    benchmarks: Mapping[str, Sequence[Item]], training: Iterable[str], detection: DetectionConfig
) -> dict[str, Contamination]:
    """Return the contamination of each benchmark's items by the texts a model was trained on, which are read once."""
    index = NgramIndex([item for items in benchmarks.values() for item in items], detection.words, detection.shortest)
    entries, documents = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    first = 0
    for texts in _batches(training):
        hits = index.find(Words.of(texts))
        entries.append(hits.entry)
        documents.append(hits.text + first)
        first += len(texts)
    whole = judge(index, np.concatenate(entries), np.concatenate(documents), detection)
    bounds = np.cumsum([0, *(len(items) for items in benchmarks.values())]).tolist()
    return {name: whole.part(index, *bound) for name, bound in zip(benchmarks, pairwise(bounds), strict=True)}


def _batches(texts: Iterable[str], characters: int = 1 << 22) -> Iterable[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= characters:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
