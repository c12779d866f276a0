"""A document as the set of its shingles: sorted distinct 32-bit hashes of every run of n words.

Signatures are made from 32-bit values, which also take half the disk space of 64-bit ones. Two sets of n shingles share
n²/2^32 values by chance, so the Jaccard similarity of two documents of 500 words is off by 10^-7, and that of two
documents of a hundred thousand words by 10^-5.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.text import units
from data_lake.text.folding import fold

if TYPE_CHECKING:
    import pyarrow as pa

# Bytes of text from which compiled kernels pay off: numpy takes a second for this much, loading the kernels half a
# second (and a few seconds the first time on a machine).
COMPILE_FROM = 30_000_000


def worth_compiling(documents: Sequence[Path]) -> bool:
    """Return whether these Parquet files hold so much text that compiled kernels pay off."""
    return 3 * sum(path.stat().st_size for path in documents) > COMPILE_FROM  # text takes a third of its size on disk


def shingle_sets(texts: pa.Array, n: int, *, compiled: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated shingle sets of a column of texts, uint32[…], and where each begins, int64[n + 1].

    A text of fewer than `n` words has one shingle, of all its words; a text without words has none.
    compiled: whether to use the compiled kernels; the values are the same.
    """
    if compiled:
        from data_lake.text.kernels import shingle_hashes_of, word_hashes_of
        from tasks.corpus.dedup.kernels import sets

        hashes, begins = shingle_hashes_of(*word_hashes_of(texts), n)
        values, sizes = np.empty(len(hashes), dtype=np.uint32), np.empty(len(texts), dtype=np.int64)
        values = values[: sets(hashes, begins, values, sizes)]
    else:
        folded = [fold(text) for text in strings(texts)]
        hashes, begins = units.shingle_hashes(*units.word_hashes(folded), n)
        owners = np.repeat(np.arange(len(texts), dtype=np.uint64), np.diff(begins))
        pairs = np.unique(owners << np.uint64(32) | hashes & np.uint64(0xFFFFFFFF))
        values = pairs.astype(np.uint32)
        sizes = np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return values, np.concatenate([[0], np.cumsum(sizes)])


def digests(texts: pa.Array, *, compiled: bool) -> list[bytes]:
    """Return a 128-bit digest of each text's `normal_form`: equal for exact copies."""
    import xxhash

    if not compiled:
        return [xxhash.xxh3_128_digest(normal_form(text)) for text in strings(texts)]
    from data_lake.text.kernels import spaced

    data, begins, asked = spaced(texts)
    view, ends = memoryview(data), begins.tolist()  # type: ignore[arg-type]
    found = [xxhash.xxh3_128_digest(view[ends[i] : ends[i + 1]]) for i in range(len(texts))]
    for i in np.flatnonzero(asked).tolist():
        found[i] = xxhash.xxh3_128_digest(normal_form(strings(texts.slice(i, 1))[0]))
    return found


def normal_form(text: str) -> bytes:
    """Return what exact duplicates have in common: the text folded except for case, white space as single spaces."""
    return " ".join(fold(text, case=False).split()).encode("utf-8", "surrogatepass")


def strings(texts: pa.Array) -> list[str]:
    """Return a column of text as strings; bytes that are not UTF-8, in a file not made by textmill, become U+FFFD."""
    import pyarrow as pa

    try:
        return texts.to_pylist()
    except UnicodeDecodeError:
        kind = pa.large_binary() if pa.types.is_large_string(texts.type) else pa.binary()
        return [value.decode("utf-8", "replace") for value in texts.view(kind).to_pylist()]


def common(
    values: np.ndarray, begins: np.ndarray, first: np.ndarray, second: np.ndarray, *, compiled: bool
) -> np.ndarray:
    """Return how many values the sets first[i] and second[i] share: int64[n_pairs].

    Set k is `values[begins[k] : begins[k + 1]]`, sorted and distinct.
    """
    if compiled:
        from tasks.corpus.dedup import kernels

        out = np.empty(len(first), dtype=np.int64)
        kernels.common(values, begins, first, second, out)
        return out
    found = [
        np.intersect1d(values[begins[a] : begins[a + 1]], values[begins[b] : begins[b + 1]], assume_unique=True).size
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    return np.array(found, dtype=np.int64)
