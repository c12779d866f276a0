"""Passages of a token stream: drawn within documents, and counted in the whole stream by a rolling hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data_lake.tokens.loader import TokenDataset

CHUNK = 1 << 22
"""Tokens hashed at once: 32 MB an array."""

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(int(_BASE), -1, 1 << 64))


def drawn_passages(data: TokenDataset, length: int, count: int, seed: int) -> np.ndarray:
    """Return up to `count` passages (n, length), each within one document, drawn evenly over the places of the stream.

    No place is drawn twice, but the same text may be, where it stands more than once. Fewer come back if fewer than
    `count` of twenty times as many tries lie within a document.
    """
    places = data.n_tokens - length + 1
    if places < 1:
        return np.empty((0, length), dtype=data.dtype)
    tries = np.random.default_rng(seed).integers(0, places, 20 * count)
    tries = tries[np.sort(np.unique(tries, return_index=True)[1])]
    found: list[np.ndarray] = []
    for start in tries.tolist():
        if len(found) == count:
            break
        passage = data.tokens(start, start + length)
        if not (passage == data.bos).any():
            found.append(np.array(passage))
    return np.stack(found) if found else np.empty((0, length), dtype=data.dtype)


def occurrences(data: TokenDataset, passages: np.ndarray) -> list[int]:
    """Return how often each passage (n, length) stands in the stream.

    Every place of the stream is hashed, the ones that agree with a passage are compared token by token.
    """
    counts = [0] * len(passages)
    if not len(passages):
        return counts
    length = passages.shape[1]
    wanted: dict[int, list[int]] = {}
    for number, passage in enumerate(passages):
        wanted.setdefault(int(_hashes(passage, length)[0]), []).append(number)
    known = np.array(sorted(wanted), dtype=np.uint64)
    for start in range(0, data.n_tokens - length + 1, CHUNK):
        part = data.tokens(start, min(data.n_tokens, start + CHUNK + length - 1))
        hashes = _hashes(part, length)
        nearest = known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)]
        for place in np.flatnonzero(nearest == hashes).tolist():
            for number in wanted[int(hashes[place])]:
                counts[number] += bool((part[place : place + length] == passages[number]).all())
    return counts


def by_count(counts: Sequence[int]) -> list[str]:
    """Return the group of each passage by how often it stands in the corpus."""
    return ["1" if n <= 1 else "2" if n == 2 else "3–9" if n < 10 else "10 and more" for n in counts]


def _hashes(tokens: np.ndarray, length: int) -> np.ndarray:
    """Return the polynomial hash modulo 2^64 of each window of `length` tokens: uint64 (len(tokens) - length + 1)."""
    powers = np.full(len(tokens), _BASE)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    sums = np.zeros(len(tokens) + 1, dtype=np.uint64)
    np.cumsum((tokens.astype(np.uint64) + np.uint64(1)) * powers, out=sums[1:])
    inverses = np.full(len(tokens) - length + 1, _INVERSE)
    inverses[0] = 1
    return (sums[length:] - sums[: len(inverses)]) * np.multiply.accumulate(inverses)
