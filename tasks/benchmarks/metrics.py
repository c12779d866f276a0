"""Metrics of whole benchmarks with their standard errors, as lm-eval 0.4.13 computes them.

A mean has the standard error of a mean. Perplexity, F1 and the Matthews correlation are resampled (bootstrap), with
the random numbers that lm-eval draws, so the standard errors are its own; other metrics have none.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tasks.benchmarks.base import Aggregation, Metric

CHUNK = 1000
"""Samples that lm-eval draws with one random generator; the chunk's number is its seed."""
_AT_ONCE = 1 << 22  # random numbers in memory


def measure(metric: Metric, values: Sequence[Any], bootstrap: int) -> tuple[float | None, float | None]:
    """Return a metric of the items' values and its standard error; None if there are no items, or it has no error."""
    if metric.whole is not None:
        return metric.whole(values) if values else None, None
    return aggregate(metric.aggregation, values, bootstrap)


def aggregate(how: Aggregation, values: Sequence[Any], bootstrap: int) -> tuple[float | None, float | None]:
    """Return a metric and its standard error (None: it has none, or there is only one item).

    bootstrap: how many samples are drawn for metrics without a formula of their own; 0 = no standard error.
    """
    if not values:
        return None, None
    if how == "mean":
        return mean_and_stderr(values)
    found = WHOLE[how](values)
    resampled = RESAMPLED.get(how)
    if resampled is None or len(values) < 2 or bootstrap < 1:
        return found, None
    return found, bootstrap_stderr(resampled, values, bootstrap)


def mean_and_stderr(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error sqrt(sample variance / n); None for one value, which has no variance."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, None
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def pooled(parts: Sequence[tuple[float, float | None, int]]) -> tuple[float, float | None]:
    """Return the mean of groups weighted by size, with the pooled standard error of lm-eval's groups.

    parts: mean, standard error and number of items of each group. The error is None if one of them has none.
    """
    total = sum(size for _, _, size in parts)
    mean = sum(mean * size for mean, _, size in parts) / total
    errors = [(error, size) for _, error, size in parts if error is not None]
    if len(errors) < len(parts):
        return mean, None
    variance = sum((size - 1) * error**2 * size for error, size in errors) / (total - len(parts))
    return mean, math.sqrt(variance / total)


def weighted_mean(values: Sequence[tuple[float, float]]) -> float:
    """Return sum(a) / sum(b) of pairs (a, b)."""
    return sum(value for value, _ in values) / sum(weight for _, weight in values)


def f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Return F1 of the class 1 of (gold, chosen); 0 if there is no true positive, as scikit-learn says."""
    return float(_f1(_counts(pairs)[None])[0])


def mcc(pairs: Sequence[tuple[int, int]]) -> float:
    """Return the Matthews correlation of two classes; 0 if one of them is never chosen, or never right."""
    return float(_mcc(_counts(pairs)[None])[0])


def bootstrap_stderr(
    resampled: Callable[[Sequence[Any], np.ndarray], np.ndarray], values: Sequence[Any], n: int
) -> float:
    """Return the standard deviation of a metric over `n` resamples, rounded down to whole chunks as in lm-eval.

    `random.choices` takes the place floor(random() × length); numpy's legacy generator gives the same random numbers
    when it is given the state of Python's, a hundred times as fast.
    """
    size, length = min(CHUNK, n), len(values)
    found: list[np.ndarray] = []
    for seed in range(n // size):
        _, state, _ = random.Random(seed).getstate()
        generator = np.random.RandomState()
        generator.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
        rows = max(1, _AT_ONCE // length)
        for start in range(0, size, rows):
            places = (generator.random_sample((min(rows, size - start), length)) * length).astype(np.int64)
            found.append(resampled(values, places))
    return float(np.std(np.concatenate(found), ddof=1))


def _counts(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return how often (gold, chosen) is (0, 0), (0, 1), (1, 0) and (1, 1)."""
    return np.bincount([2 * (gold == 1) + (chosen == 1) for gold, chosen in pairs], minlength=4)


def _resampled_counts(pairs: Sequence[tuple[int, int]], places: np.ndarray) -> np.ndarray:
    kinds = np.array([2 * (gold == 1) + (chosen == 1) for gold, chosen in pairs])[places]
    return np.stack([(kinds == kind).sum(axis=1) for kind in range(4)], axis=1)


def _f1(counts: np.ndarray) -> np.ndarray:
    """Return F1 of each row of counts (N, 4)."""
    _, false_positive, false_negative, true_positive = counts.T.astype(float)
    whole = 2 * true_positive + false_positive + false_negative
    return np.divide(2 * true_positive, whole, out=np.zeros_like(whole), where=whole > 0)


def _mcc(counts: np.ndarray) -> np.ndarray:
    """Return the Matthews correlation of each row of counts (N, 4)."""
    tn, fp, fn, tp = counts.T.astype(float)
    below = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, below, out=np.zeros_like(below), where=below > 0)


WHOLE: dict[Aggregation, Callable[[Sequence[Any]], float]] = {
    "perplexity": lambda values: math.exp(min(-sum(values) / len(values), 700.0)),
    "weighted_perplexity": lambda values: math.exp(min(-weighted_mean(values), 700.0)),
    "bits_per_byte": lambda values: -weighted_mean(values) / math.log(2),
    "f1": f1,
    "mcc": mcc,
}
RESAMPLED: dict[Aggregation, Callable[[Sequence[Any], np.ndarray], np.ndarray]] = {
    "perplexity": lambda values, places: np.exp(np.minimum(-np.asarray(values)[places].mean(axis=1), 700.0)),
    "f1": lambda values, places: _f1(_resampled_counts(values, places)),
    "mcc": lambda values, places: _mcc(_resampled_counts(values, places)),
}
