"""Overlap: how much of each held-out document stands in training documents as well, n-gram by n-gram."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_lake.documents import shards


@dataclass(frozen=True)
class HeldOut:
    """The n-grams of held-out documents: shard, row and number of the n-gram for each, int64; how many there are."""

    shard: np.ndarray
    row: np.ndarray
    ngram: np.ndarray
    count: int


def gather(work: Path, max_ngrams: int) -> HeldOut:
    """Merge work/held_out/ into work/held_out.npy, the sorted distinct n-grams that training texts are scanned for.

    Of more than `max_ngrams` those below a limit stay, which is halved until it is enough: hashes are evenly spread, so
    that is a fair sample of each document's n-grams, and the same for any number of shards. Two different n-grams of
    one hash are one in 10^3 corpora of 10^9 training words and 10^7 held-out ones; shares do not change by it, so words
    are not compared here.
    """
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in shards(work / "held_out")]
    shard = np.repeat(np.arange(len(tables)), [table.num_rows for table in tables])
    row = np.concatenate([np.empty(0, np.int64), *(table.column("row").to_numpy() for table in tables)])
    ngram = np.concatenate([np.empty(0, np.uint64), *(table.column("ngram").to_numpy() for table in tables)])
    limit = 1 << 64
    while len(ngram) > max_ngrams:
        limit //= 2
        below = ngram < np.uint64(limit)
        shard, row, ngram = shard[below], row[below], ngram[below]
    keys, number = np.unique(ngram, return_inverse=True)
    scratch = work / ".held_out.npy.part"
    with open(scratch, "wb") as file:
        np.save(file, keys)
    os.replace(scratch, work / "held_out.npy")
    return HeldOut(shard, row, number, len(keys))


def shares(work: Path, held_out: HeldOut) -> dict[tuple[int, int], float]:
    """Return (shard, row) of each held-out document that has an n-gram -> share of them that training texts have."""
    import pyarrow.parquet as pq

    seen = np.zeros(held_out.count, dtype=bool)
    for path in shards(work / "seen"):
        seen[pq.read_table(path).column("ngram").to_numpy()] = True
    if not held_out.count:
        return {}
    place, number = np.unique(np.stack([held_out.shard, held_out.row]), axis=1, return_inverse=True)
    total = np.bincount(number.ravel())
    found = np.bincount(number.ravel(), weights=seen[held_out.ngram])
    return {(int(a), int(b)): float(f / t) for (a, b), f, t in zip(place.T, found, total, strict=True)}
