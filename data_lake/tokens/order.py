"""The order of training rows: which windows, rows or examples a step takes, found from the number of the step alone."""

from __future__ import annotations

from typing import Any

import numpy as np

_FEISTEL_ROUNDS = 6


def shuffled(positions: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return which of `n` items stand at `positions` of the endless sequence epoch 0, epoch 1, …: int64, same shape.

    Each epoch has every item once, in an order of its own.
    """
    epochs, within = np.divmod(positions, n)
    out = np.empty(len(positions), dtype=np.int64)
    for epoch in np.unique(epochs).tolist():
        here = epochs == epoch
        out[here] = permuted(within[here], n, seed, epoch)
    return out


def draws_of_step(step: int, batch: int, rank: int = 0, world_size: int = 1) -> np.ndarray:
    """Return the positions that a rank takes in a step of `batch` items: int64; with one rank, all of the step.

    Step s takes positions `s*batch … s*batch + batch-1`, and rank r the r-th of `world_size` consecutive parts of them,
    which differ by at most one item. So the ranks together read exactly what one process reads.
    Raises ValueError if a rank would be left without items.
    """
    if not 0 <= rank < world_size:
        raise ValueError(f"Rank {rank} does not exist among {world_size}; ranks count from 0 to {world_size - 1}.")
    if world_size > batch:
        raise ValueError(
            f"A batch of {batch} sequences cannot be shared by {world_size} processes; raise batch_size to at least "
            f"{world_size}, or start fewer processes."
        )
    first = step * batch
    return np.arange(first + batch * rank // world_size, first + batch * (rank + 1) // world_size, dtype=np.int64)


def permuted(positions: np.ndarray, n: int, seed: int, epoch: int) -> np.ndarray:
    """Return where a pseudo-random permutation of `0 … n-1` sends `positions`, without making the permutation.

    A Feistel network over the next power of four, walked until it lands below n (Black & Rogaway 2002, "Ciphers with
    arbitrary finite domains"): a billion windows need no memory, the windows of any step are found at once, and the
    order does not depend on the version of numpy's generators.
    """
    half_bits = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    keys = [_mix(np.uint64(x)) for x in _round_keys(seed, epoch)]
    out = positions.astype(np.uint64)
    outside = np.ones(len(out), dtype=bool)
    while outside.any():
        left, right = out[outside] >> shift, out[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mix(right + key) & mask)
        out[outside] = (left << shift) | right
        outside = out >= np.uint64(n)
    return out.astype(np.int64)


def _round_keys(seed: int, epoch: int) -> list[int]:
    return [(seed * 1_000_003 + epoch * _FEISTEL_ROUNDS + i) % (1 << 64) for i in range(_FEISTEL_ROUNDS)]


def _mix(x: Any) -> Any:
    """SplitMix64's finaliser (Steele et al. 2014), modulo 2^64."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
