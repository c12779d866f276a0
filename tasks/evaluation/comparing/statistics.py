"""Tests of a difference between two models: McNemar, paired bootstrap, t over seeds; Holm's correction; sample sizes.

All differences are "after minus before". All intervals belong to their tests: an interval excludes 0 exactly where the
p-value is below 1 - `level` (the bootstrap's up to its resolution).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Bools = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

LEVEL = 0.95
POWER = 0.80
RESAMPLES = 20_000
"""The smallest p-value of a bootstrap is 1 / (RESAMPLES + 1); Holm's correction of many rows needs small ones."""
MAX_BLOCKS = 1_000
MOST_EXACT = 15
"""So few units are not resampled: all 2^n ways to swap the two models can be tried instead."""
MAX_SEEDS = 1_000
CHUNK_VALUES = 1 << 20
"""Resampled values in memory at a time: about 40 MB."""


@dataclass(frozen=True)
class Effect:
    """A difference with its interval and two-sided p-value.

    `spread` is the standard deviation of one unit's difference (an item, a document, a seed on each side), and
    `null_spread` what it would be if the models were equally good; from them follows how many units would be needed.
    There is no interval where all 2^n ways to swap the models are too few for the level.
    """

    test: str
    difference: float
    low: float | None
    high: float | None
    p: float
    spread: float | None
    null_spread: float | None = None  # None: the same
    of_seeds: bool = False


def mcnemar(before: Bools, after: Bools, level: float = LEVEL) -> Effect:
    """Compare two models' right answers (bool, shape (n,)) to the same n items with the exact McNemar test.

    Only items that one model alone answers right count: under the null hypothesis each of them is as likely to be the
    other's, so the test is a two-sided binomial one (McNemar 1947; Dietterich 1998). The interval is that of Clopper
    and Pearson for the share that `after` wins, times the share of such items; where there is none, the rule of three.
    """
    from scipy.stats import binomtest

    n = len(before)
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    apart = won + lost
    difference = (won - lost) / n
    spread = math.sqrt(max(apart / n - difference**2, 0.0))
    if not apart:
        widest = 1 - (1 - level) ** (1 / n)
        return Effect("McNemar, exact", 0.0, -widest, widest, 1.0, None)
    found = binomtest(won, apart)
    share = found.proportion_ci(level, method="exact")
    low, high = ((2 * float(bound) - 1) * apart / n for bound in share)
    return Effect("McNemar, exact", difference, low, high, float(found.pvalue), spread, math.sqrt(apart / n))


def paired_bootstrap(
    differences: Floats,
    weights: Floats | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Effect:
    """Test the mean of paired differences, or the ratio sum(differences) / sum(weights), by a studentised bootstrap.

    differences, weights: shape (n,), one per item or document; weights are bytes for bits per byte, None for a mean.
    Units are drawn with replacement, `resamples` times, and the estimate's distance from the whole sample's, in its own
    standard errors, gives the p-value and a symmetric interval (Efron & Tibshirani 1993, chapters 12 and 16; Hall 1988:
    the error of its coverage falls with 1 / n², that of the plain percentile interval with 1 / n). Deterministic for
    a seed. More than 1,000 units are first added up to 1,000 blocks, which bounds time and memory.
    """
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    sizes = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64)
    n = len(values)
    total = float(sizes.sum())
    estimate = float(values.sum()) / total
    # of one unit of average weight: the linearised standard deviation of a ratio
    spread = float(np.std(values - estimate * sizes, ddof=1)) * n / total if n > 1 else None
    name = "paired bootstrap"
    if not values.any():
        return Effect(name, 0.0, 0.0, 0.0, 1.0, None)
    if n <= MOST_EXACT:
        return _sign_flips(values, sizes, level, spread)
    rng = np.random.default_rng(seed)
    residuals, sizes = _blocks(values - estimate * sizes, sizes, rng)
    error = _standard_error(residuals, sizes)
    distances = np.empty(resamples)
    moments = np.stack([residuals, sizes, residuals**2, residuals * sizes, sizes**2], axis=1)
    step = max(1, CHUNK_VALUES // len(residuals))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        sums = _resampled(moments, rows, rng)
        shift = sums[:, 0] / sums[:, 1]
        variance = sums[:, 2] - 2 * shift * sums[:, 3] + shift**2 * sums[:, 4]
        errors = np.sqrt(np.maximum(variance, 0) * len(residuals) / (len(residuals) - 1)) / sums[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            # a resample of one unit alone has no standard error: count it against the difference
            distances[start : start + rows] = np.where(errors > 0, np.abs(shift) / errors, np.inf)
    if error == 0:  # every unit differs by the same: no resample can tell otherwise
        return Effect(name, estimate, estimate, estimate, 1 / (resamples + 1), spread)
    at_least = int((distances >= abs(estimate) / error).sum())
    half = float(np.quantile(distances, level, method="higher")) * error
    return Effect(name, estimate, estimate - half, estimate + half, (1 + at_least) / (resamples + 1), spread)


def _sign_flips(values: Floats, sizes: Floats, level: float, spread: float | None) -> Effect:
    """Test a ratio by all 2^n ways to swap the two models, unit by unit (Fisher 1935).

    The interval lies between the k-th smallest and the k-th largest ratio of all 2^n - 1 subsets of the units, which is
    exact as well (Hartigan's typical values, 1969).
    """
    import numpy as np

    n = len(values)
    estimate = float(values.sum() / sizes.sum())
    subsets = ((np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    ratios = np.sort((subsets @ values) / (subsets @ sizes))
    slack = 1e-12 * float(np.abs(ratios).max())
    beyond = int(min((ratios <= slack).sum(), (ratios >= -slack).sum()))
    p = min(1.0, 2 * (1 + beyond) / 2**n)
    kth = math.floor((1 - level) * 2**n / 2)
    low, high = (float(ratios[kth - 1]), float(ratios[-kth])) if kth else (None, None)
    return Effect("sign flips, exact", estimate, low, high, p, spread)


def _blocks(residuals: Floats, sizes: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Add up units, in random order, to at most MAX_BLOCKS blocks of nearly equal numbers of units."""
    import numpy as np

    if len(residuals) <= MAX_BLOCKS:
        return residuals, sizes
    order = rng.permutation(len(residuals))
    starts = np.linspace(0, len(residuals), MAX_BLOCKS, endpoint=False).astype(np.int64)
    return np.add.reduceat(residuals[order], starts), np.add.reduceat(sizes[order], starts)


def _standard_error(residuals: Floats, sizes: Floats) -> float:
    """The standard error of a ratio estimate (Cochran 1977, § 6.4)."""
    n = len(residuals)
    error = math.sqrt(float((residuals**2).sum()) * n / (n - 1)) / float(sizes.sum())
    # rounding alone: equal differences leave residuals of 1e-17
    return error if error > 1e-12 * float(abs(sizes).max() / sizes.sum()) else 0.0


def _resampled(moments: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Return the sums of `moments` (n, k) over `rows` resamples of n units: (rows, k)."""
    import numpy as np

    n = len(moments)
    drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
    counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
    return counts.astype(np.float64) @ moments


def over_seeds(before: Sequence[float], after: Sequence[float], level: float = LEVEL) -> Effect | None:
    """Compare results of several seeds on each side by Welch's t-test; the seeds of the two sides are not paired.

    Returns None if no spread can be estimated: a side with one seed, or seeds that all give the same number.
    """
    from scipy.stats import t as student

    sizes = [len(before), len(after)]
    if min(sizes) < 2:
        return None
    means = [math.fsum(side) / len(side) for side in (before, after)]
    variances = [
        math.fsum((value - mean) ** 2 for value in side) / (len(side) - 1)
        for side, mean in zip((before, after), means, strict=True)
    ]
    terms = [variance / size for variance, size in zip(variances, sizes, strict=True)]
    if not any(terms):
        return None
    error = math.sqrt(sum(terms))
    freedom = sum(terms) ** 2 / sum(term**2 / (size - 1) for term, size in zip(terms, sizes, strict=True))
    difference = means[1] - means[0]
    half = float(student.ppf((1 + level) / 2, freedom)) * error
    p = 2 * float(student.sf(abs(difference) / error, freedom))
    test = f"Welch's t over {sizes[0]} and {sizes[1]} seeds"
    spread = math.sqrt(sum(variances))
    return Effect(test, difference, difference - half, difference + half, p, spread, of_seeds=True)


def holm(ps: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number: the chance of any false one stays below the level (Holm 1979)."""
    order = sorted((p, place) for place, p in enumerate(ps))
    adjusted = [1.0] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[place] = highest
    return adjusted


def needed(tested: Effect, alpha: float, power: float = POWER) -> int | None:
    """Return how many units show such a difference at level `alpha` with probability `power`; None if it is 0.

    n = ((z_α/2 · null_spread + z_β · spread) / difference)², which is Connor's (1987) for McNemar's test, and the usual
    one for a mean. For seeds it is the number on each side, with the quantiles of t, which are larger for few.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    if not tested.difference or tested.spread is None:
        return None
    spread = tested.spread
    null_spread = spread if tested.null_spread is None else tested.null_spread

    def units(reach: float, chance: float) -> float:
        return ((reach * null_spread + chance * spread) / tested.difference) ** 2

    n = units(float(norm.isf(alpha / 2)), float(norm.isf(1 - power)))
    if not tested.of_seeds:
        # the exact tests cannot reach the level with fewer, whatever the difference
        return math.ceil(max(n, 1 - math.log2(alpha)))
    seeds = max(2, math.ceil(n))
    while seeds < MAX_SEEDS and seeds < units(
        float(student.isf(alpha / 2, 2 * seeds - 2)), float(student.isf(1 - power, 2 * seeds - 2))
    ):
        seeds += 1
    return seeds
