"""Signatures reused from an earlier artifact: in a corpus that changed, only new texts are cut into shingles.

A text's digest, shingles and signature depend only on the text and the config, and the earlier artifact has the same
config. So those of a text that it already has are only read and written again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_lake.tables.arrow_columns import fixed_values
from data_lake.tables.documents import shard_path
from data_lake.tables.text_index import TextIndex

OPEN = 4  # shards of the earlier artifact that are kept open, a few megabytes each


@dataclass(frozen=True)
class Signed:
    """Signed texts: 128-bit digests of their normal forms (uint64[n, 2]), signatures (uint32[n, permutations]), and
    shingle sets; the set of text i is `shingles[begins[i] : begins[i + 1]]`."""

    digests: np.ndarray
    signatures: np.ndarray
    shingles: np.ndarray
    begins: np.ndarray


class Reusable:
    """The signed texts of an earlier artifact, or of none."""

    def __init__(self, artifact: Path | None, text_index: Path | None) -> None:
        """text_index: the index of the artifact's texts, as `write_text_index` made it."""
        self._artifact, self._texts = artifact, TextIndex(text_index)
        self._open: OrderedDict[int, Signed] = OrderedDict()

    def find(self, digests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return shard and row of each text by its digest (uint64[n, 2]), int64[n] both; -1 if it must be signed."""
        return self._texts.find(digests)

    def merge(self, made: Signed, shard: np.ndarray, row: np.ndarray) -> Signed:
        """Return all texts of a batch in order: from `made` if their shard is -1, else from the earlier artifact."""
        if (shard < 0).all():
            return made
        row = row.copy()
        row[shard < 0] = np.arange(len(made.digests))
        sources = {number: made if number < 0 else self._shard(number) for number in np.unique(shard).tolist()}
        digests = np.empty((len(row), 2), made.digests.dtype)
        signatures = np.empty((len(row), made.signatures.shape[1]), made.signatures.dtype)
        for number, source in sources.items():
            here = np.flatnonzero(shard == number)
            digests[here], signatures[here] = source.digests[row[here]], source.signatures[row[here]]
        # the shingle sets of consecutive rows of one source are adjacent there, so they are copied in one piece
        apart = np.flatnonzero((np.diff(shard) != 0) | (np.diff(row) != 1)) + 1
        sets, sizes = [], []
        for first, last in pairwise([0, *apart.tolist(), len(row)]):
            source = sources[int(shard[first])]
            begins = source.begins[row[first] : row[last - 1] + 2]
            sets.append(source.shingles[begins[0] : begins[-1]])
            sizes.append(np.diff(begins))
        return Signed(digests, signatures, np.concatenate(sets), np.cumsum(np.concatenate([[0], *sizes])))

    def _shard(self, number: int) -> Signed:
        """Return the signed texts of one shard of the artifact; its shingle sets stay on disk."""
        import pyarrow.parquet as pq

        if number not in self._open:
            assert self._artifact is not None
            names = ["digest", "n_shingles", "signature"]
            table = pq.read_table(shard_path(self._artifact / "signatures", number), columns=names)
            digest, sizes, signature = (table[name].combine_chunks() for name in names)
            path = self._artifact / "shingles" / f"part-{number:05d}.u32"
            begins = np.concatenate([[0], np.cumsum(sizes.to_numpy())])
            shingles = np.memmap(path, dtype="<u4", mode="r") if begins[-1] else np.empty(0, "<u4")
            self._open[number] = Signed(fixed_values(digest, "<u8"), fixed_values(signature, "<u4"), shingles, begins)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
        return self._open[number]
