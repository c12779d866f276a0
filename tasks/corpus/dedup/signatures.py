"""MinHash signatures: each document's smallest shingle value under each of several random permutations.

The fraction of positions in which two signatures agree estimates the Jaccard similarity of the shingle sets (Broder
1997). The permutations are those of datasketch 2's scheme `affine32`, bit for bit: Murmur3's finaliser once, then
`a*h + b` modulo 2^32 with odd `a`, from numpy's RandomState(seed). So these signatures load into its `MinHashLSH`
(`tasks.corpus.dedup.lookup`).

Two implementations give the same bits: numpy (25 k documents a second) and a kernel compiled by numba (200 k), which
takes a third of a second to load and one more second to compile on its first use on a machine.
"""

from __future__ import annotations

import numpy as np

from data_lake.text.units import mix64

EMPTY = np.uint32(0xFFFFFFFF)


def permutations(count: int, seed: int) -> np.ndarray:
    """Return the parameters of `count` permutations, uint32[2, count]: datasketch's for the same seed."""
    generator = np.random.RandomState(seed)  # its stream is frozen (NEP 19), and datasketch uses it too
    odd = generator.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return np.array([odd, generator.randint(0, 1 << 32, count, dtype=np.uint32)])


def mix32(x: np.ndarray) -> np.ndarray:
    """Return Murmur3's 32-bit finaliser of each value."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def signatures(shingles: np.ndarray, offsets: np.ndarray, params: np.ndarray, *, compiled: bool) -> np.ndarray:
    """Return each document's signature: uint32[n_documents, n_permutations].

    shingles: uint32[n], 32-bit shingle hashes of all documents; those of document i are
    `shingles[offsets[i] : offsets[i + 1]]`. A document without shingles has all ones, as in datasketch.
    compiled: whether to use the numba kernel; the bits are the same.
    """
    mixed = mix32(np.ascontiguousarray(shingles, dtype=np.uint32))
    a, b = np.ascontiguousarray(params[0]), np.ascontiguousarray(params[1])
    if compiled:
        from tasks.corpus.dedup.kernels import minwise

        return np.asarray(minwise(mixed, np.ascontiguousarray(offsets, dtype=np.int64), a, b))
    out = np.full((len(offsets) - 1, len(a)), EMPTY, dtype=np.uint32)
    for i in range(len(out)):
        hashes = mixed[offsets[i] : offsets[i + 1], None]
        for first in range(0, len(hashes), 512):  # 512 x 120 values stay in the cache
            np.minimum(out[i], (hashes[first : first + 512] * a + b).min(axis=0), out=out[i])
    return out


def band_keys(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Return a 64-bit key per band and document, uint64[bands, n_documents]: equal if all `rows` values agree."""
    keys = np.empty((bands, len(signatures)), dtype=np.uint64)
    columns = np.ascontiguousarray(signatures[:, : bands * rows].T).astype(np.uint64)
    with np.errstate(over="ignore"):
        for band in range(bands):
            key = np.full(len(signatures), band + 1, dtype=np.uint64)
            for row in range(band * rows, (band + 1) * rows):
                key = key * np.uint64(0xD1342543DE82EF95) + columns[row]
            keys[band] = mix64(key)
    return keys
