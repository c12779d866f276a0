"""Texts of an earlier artifact, found by a 128-bit digest: which of its rows were made from a text that is here again.

What a stage makes from one text alone need not be made twice. Such a stage keeps the digests of its texts, row by row;
its next build writes them once as a sorted file, which any number of jobs can search without reading all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_lake.store.files import whole_file
from data_lake.tables.arrow_columns import fixed_values
from data_lake.tables.runs import Runs, write_run

_ROWS, _SHARDS = "rows.npy", "shards.npy"
_AT_A_TIME = 1 << 20  # rows in memory: 24 MB
# Opening a shard of signatures costs a tenth of making it (20 and 180 ms for 10,000 texts). Where a batch needs very
# little of a shard, it is made again; otherwise a corpus in another order would open all shards for each of its own.
# The neighbours of an open shard count as open too: when texts are added or removed, others move across its edges.
_ENOUGH_OF_BATCH, _ENOUGH_OF_SHARD = 1 / 4, 1 / 64


def write_text_index(folder: Path, shards: Sequence[Path]) -> None:
    """Write what `TextIndex` reads, unless an earlier attempt has. Memory: one shard's digests, or 24 MB.

    shards: Parquet files of an artifact, in order, with one row and its `text_digest` for each text.
    """
    import pyarrow.parquet as pq

    if (folder / _SHARDS).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    first, runs = [0], []
    for number, path in enumerate(shards):
        digests = fixed_values(pq.read_table(path, columns=["text_digest"])["text_digest"].combine_chunks(), "<u8")
        runs.append(folder / f"part-{number:05d}.run")
        places = np.arange(first[-1], first[-1] + len(digests), dtype=np.uint64)
        write_run(runs[-1], np.stack([*digests.T, places]))
        first.append(first[-1] + len(digests))
    rows = Runs(runs, 3)
    with whole_file(folder / _ROWS) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<u8", "fortran_order": False, "shape": (len(rows), 3)})
        for low, high in rows.split(_AT_A_TIME):
            np.ascontiguousarray(rows.read(low, high).T).tofile(file)
    for run in runs:
        run.unlink()
    with whole_file(folder / _SHARDS) as file:  # last: its existence says that the other file is complete
        np.save(file, np.array(first, dtype=np.int64))


class TextIndex:
    """Finds the texts of a batch in an earlier artifact; without a folder it finds none."""

    def __init__(self, folder: Path | None) -> None:
        self._rows = np.empty((0, 3), np.uint64) if folder is None else np.load(folder / _ROWS, mmap_mode="r")
        self._first = np.zeros(1, np.int64) if folder is None else np.load(folder / _SHARDS)
        self._opened: set[int] = set()

    def find(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return shard and row of each text in the earlier artifact, int64[n] both; -1 if it is not there.

        Also -1 if a shard has so few of the texts that reading it would cost more than it saves.
        wanted: the digests of texts, uint64[n, 2].
        """
        shard, row = np.full(len(wanted), -1, np.int64), np.full(len(wanted), -1, np.int64)
        if not len(self._rows) or not len(wanted):
            return shard, row
        found = np.asarray(self._rows[np.minimum(self._search(wanted[:, 0]), len(self._rows) - 1)])
        same = np.flatnonzero((found[:, :2] == wanted).all(axis=1))
        place = found[same, 2].astype(np.int64)
        shard[same] = np.searchsorted(self._first, place, side="right") - 1
        row[same] = place - self._first[shard[same]]
        few = np.isin(shard, self._not_worth(shard))
        shard[few] = row[few] = -1
        return shard, row

    def _search(self, keys: np.ndarray) -> np.ndarray:
        """Return the position of each key in the first column; only the pages on the search path are read."""
        return np.searchsorted(self._rows[:, 0], keys)

    def _not_worth(self, shard: np.ndarray) -> list[int]:
        """Return the shards that are not worth opening for a batch with these texts; open shards stay open."""
        numbers, counts = np.unique(shard[shard >= 0], return_counts=True)
        sizes = np.diff(self._first)[numbers]
        enough = counts >= np.minimum(_ENOUGH_OF_BATCH * len(shard), _ENOUGH_OF_SHARD * sizes)
        self._opened.update(numbers[enough].tolist())
        return [number for number in numbers.tolist() if self._opened.isdisjoint((number - 1, number, number + 1))]
