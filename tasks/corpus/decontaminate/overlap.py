"""Overlap: how much of each held-out document also occurs in training documents, n-gram by n-gram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_lake.store.files import whole_file
from data_lake.tables.documents import shards


@dataclass(frozen=True)
class HeldOut:
    """The n-grams of held-out documents: shard, row and n-gram number of each, int64; and how many distinct ones."""

    shard: np.ndarray
    row: np.ndarray
    ngram: np.ndarray
    count: int


def gather(parts: Path, ngrams_file: Path, max_ngrams: int) -> HeldOut:
    """Merge the shards' n-grams (parts/) into one file of sorted distinct ones, which training texts are scanned for.

    If there are more than `max_ngrams`, only hashes up to a limit are kept, and the limit is halved as long as there
    are too many. Hashes are evenly spread, so this is a fair sample of each document's n-grams, and the same for any
    number of shards. With 10^9 words in training and 10^7 held out, two different n-grams with the same hash meet in
    one corpus in 2,000; that changes no share noticeably, so the words themselves are not compared here.
    """
    import pyarrow.parquet as pq

    rows, ngrams = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    largest = (1 << 64) - 1
    for path in shards(parts):
        table = pq.read_table(path)
        rows.append(table.column("row").to_numpy())
        ngrams.append(table.column("ngram").to_numpy())
        while True:
            kept = [part <= np.uint64(largest) for part in ngrams]
            if sum(int(part.sum()) for part in kept) <= max_ngrams or not largest:
                break
            largest //= 2
        rows = [part[below] for part, below in zip(rows, kept, strict=True)]
        ngrams = [part[below] for part, below in zip(ngrams, kept, strict=True)]
    shard = np.repeat(np.arange(len(rows) - 1), [len(part) for part in rows[1:]])
    row = np.concatenate(rows)
    keys, number = np.unique(np.concatenate(ngrams), return_inverse=True)
    with whole_file(ngrams_file) as file:
        np.save(file, keys)
    return HeldOut(shard, row, number, len(keys))


def shares(folder: Path, held_out: HeldOut) -> dict[tuple[int, int], float]:
    """Return a dict: (shard, row) of each held-out document with n-grams -> share of them that training texts have.

    folder: the files that say which n-grams the training texts of each shard have.
    """
    import pyarrow.parquet as pq

    seen = np.zeros(held_out.count, dtype=bool)
    for path in shards(folder):
        seen[pq.read_table(path, columns=["ngram"]).column("ngram").to_numpy()] = True
    if not held_out.count:
        return {}
    place, number = np.unique(np.stack([held_out.shard, held_out.row]), axis=1, return_inverse=True)
    total = np.bincount(number.ravel())
    found = np.bincount(number.ravel(), weights=seen[held_out.ngram])
    return {(int(a), int(b)): float(f / t) for (a, b), f, t in zip(place.T, found, total, strict=True)}
