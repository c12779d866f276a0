"""The order in which the sources of a mix are drawn; its proportions are exact after every draw.

After k draws, a source of share p has been drawn p·k times, off by less than one. Random draws are off by about the
square root of k, and always taking the source that is furthest behind can be off by more than one. Tijdeman's rule is
never off by more than 1 - 1/(2n - 2) with n sources: of the sources that may be drawn already, it takes the one that
must be drawn soonest (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980, 323-330).

Importing this module imports numba, because the rule depends on all earlier draws. It plays 30 million draws a second,
so the order of a run of 300 billion tokens in windows of 2,048 is known after five seconds, and any draw is then found
in a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_lake.text.compiled import compiled

BLOCK = 1 << 16
"""Draws between two points at which the counts are kept, so that a resumed run starts close to its step."""


class MixOrder:
    """An endless order of sources that depends on the shares alone."""

    def __init__(self, shares: Sequence[float]) -> None:
        """shares: of each source, at least 0, with a sum of 1."""
        self._shares = np.array(shares, dtype=np.float64)
        if len(shares) == 0 or self._shares.min() < 0 or abs(self._shares.sum() - 1) > 1e-9:
            raise ValueError(f"Shares must be at least 0 and add up to 1, but these are {list(shares)}.")
        self._blocks = [np.zeros(len(shares), dtype=np.int64)]  # counts before draw 0, BLOCK, 2 BLOCK, ...

    def counts(self, draws: int) -> np.ndarray:
        """Return how often each source is among the first `draws` draws: int64[n_sources]."""
        return self._play(draws, draws)[2]

    def draws(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return draws `start … stop - 1`: the source of each, and how often that source was drawn before; int64."""
        return self._play(start, stop)[:2]

    def _play(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        while len(self._blocks) <= start // BLOCK:
            counts = self._blocks[-1].copy()
            _draw(self._shares, counts, (len(self._blocks) - 1) * BLOCK, np.empty((2, BLOCK), dtype=np.int64))
            self._blocks.append(counts)
        first = start // BLOCK * BLOCK
        counts = self._blocks[start // BLOCK].copy()
        drawn = np.empty((2, stop - first), dtype=np.int64)
        _draw(self._shares, counts, first, drawn)
        return drawn[0, start - first :], drawn[1, start - first :], counts


@compiled
def _draw(shares, counts, first, drawn):  # type: ignore[no-untyped-def]
    """Play draws first, first + 1, ...: drawn[0] gets the source, drawn[1] its earlier draws; counts is updated.

    `behind` is what a source lacks if it does not get this draw. It may be drawn if that is at least 1/(2n - 2), and
    must be drawn before it reaches 1 - 1/(2n - 2): the draw goes to the source that reaches it first.
    """
    n = 0
    for share in shares:
        if share > 0:
            n += 1
    slack = 1.0 / (2 * n - 2) if n > 1 else 0.0
    for k in range(drawn.shape[1]):
        best, best_deadline = -1, np.inf
        for i in range(len(shares)):
            if shares[i] > 0:
                behind = shares[i] * (first + k + 1) - counts[i]
                deadline = (1.0 - slack - behind) / shares[i]
                # a billionth, so that rounding cannot exclude a source that may be drawn from now on
                if behind >= slack - 1e-9 and deadline < best_deadline:
                    best, best_deadline = i, deadline
        drawn[0, k] = best
        drawn[1, k] = counts[best]
        counts[best] += 1
