"""What an earlier artifact found in the same texts: they are searched only for what was not looked for then.

The earlier artifact looked for the same benchmark items, so all hits in an unchanged text are known. For the held-out
n-grams, the result is known for those that were held out then too; changed documents add a few new ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.store.files import whole_file
from data_lake.tables.documents import shard_path
from data_lake.tables.text_index import TextIndex

if TYPE_CHECKING:
    import pyarrow as pa

SCAN = "scan"  # the folder of an artifact that holds what was found: texts/, hits/, seen/ ...
HELD_OUT = "held_out.npy"  # ... and the sorted held-out n-grams that training texts were searched for
HITS = ("row", "entry", "place", "length", "start", "end")


class Reusable:
    """What an earlier artifact found; nothing if there is no artifact."""

    def __init__(self, artifact: Path | None, text_index: Path | None) -> None:
        """text_index: the index of the artifact's texts, as `write_text_index` made it."""
        self._scan = None if artifact is None else artifact / SCAN
        self._texts = TextIndex(text_index)

    def find(self, digests: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each text's shard and row in the artifact, int64[n] both; -1 if it must be scanned.

        digests: uint64[n, 2]. train: bool[n]; only training texts were searched for held-out n-grams.
        """
        shard, row = self._texts.find(digests)
        for number in np.unique(shard[shard >= 0]).tolist():
            here = np.flatnonzero(shard == number)
            assert self._scan is not None
            trained = are_training(shard_path(self._scan / "texts", number))
            other = here[trained[row[here]] != train[here]]
            shard[other] = row[other] = -1
        return shard, row

    def hits(self, shard: np.ndarray, row: np.ndarray) -> dict[str, np.ndarray]:
        """Return the benchmark n-grams in the texts at these places; `row` of the result indexes the places."""
        return self._rows("hits", HITS, shard, row)

    def seen(self, shard: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the held-out n-grams in the training texts at these places: the index of the place, and the n-gram."""
        found = self._rows("seen", ("row", "ngram"), shard, row)
        return found["row"], self.held_out()[found["ngram"]]

    def held_out(self) -> np.ndarray:
        """Return the sorted held-out n-grams that the training texts of the artifact were searched for."""
        return np.empty(0, np.uint64) if self._scan is None else np.load(self._scan / HELD_OUT, mmap_mode="r")

    def _rows(self, kind: str, names: tuple[str, ...], shard: np.ndarray, row: np.ndarray) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {name: [np.empty(0, np.int64)] for name in names}
        for number in np.unique(shard[shard >= 0]).tolist():
            here = np.flatnonzero(shard == number)
            columns = dict(zip(names, self._columns(kind, number, *names), strict=True))
            first, last = (np.searchsorted(columns["row"], row[here], side=side) for side in ("left", "right"))
            counts = last - first
            at = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
            for name in names:
                parts[name].append(np.repeat(here, counts) if name == "row" else columns[name][at])
        return {name: np.concatenate(found) for name, found in parts.items()}

    def _columns(self, kind: str, number: int, *names: str) -> list[np.ndarray]:
        import pyarrow.parquet as pq

        assert self._scan is not None
        table = pq.read_table(shard_path(self._scan / kind, number), columns=list(names))
        return [np.asarray(table[name].to_numpy()) for name in names]


def read_splits(path: Path) -> pa.Array:
    """Return the split of each document of a shard, from its file of scan/texts."""
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=["split"])["split"].combine_chunks()


def are_training(path: Path) -> np.ndarray:
    """Return which texts of a shard are training texts, bool[n], from its file of scan/texts."""
    import pyarrow.compute as pc

    return pc.equal(read_splits(path), "train").to_numpy(zero_copy_only=False)


def write_since(artifact: Path, held_out: Path, since: Path) -> None:
    """Write the held-out n-grams that the artifact's texts were not searched for."""
    before, now = np.load(artifact / SCAN / HELD_OUT), np.load(held_out)
    with whole_file(since) as file:
        np.save(file, np.setdiff1d(now, before, assume_unique=True))
