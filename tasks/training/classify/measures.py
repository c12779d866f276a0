"""How good named labels are: accuracy, macro F1, calibration, the ROC curve, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BINS = 10  # of confidence, for the calibration


class Bin(NamedTuple):
    """Texts of like confidence: their mean confidence, the share named rightly, and how many they are."""

    confidence: float
    accuracy: float
    texts: int


class Difference(NamedTuple):
    """A mean difference of pairs and its standard error, NaN for fewer than two groups of them."""

    mean: float
    stderr: float

    @property
    def clear(self) -> bool:
        """Whether it is a gain of more than two standard errors."""
        return self.mean > 2 * self.stderr


@dataclass(frozen=True)
class Measures:
    """The measures of one set of texts.

    confusion: rows are the true labels, columns the named ones. macro_f1: the mean of the labels' F1, as scikit-learn
    computes it. ece: expected calibration error (Guo et al. 2017), the mean distance of confidence and accuracy over
    ten bins of equal width. auc: area under the ROC curve of the second of two labels; None for more labels.
    """

    accuracy: float
    macro_f1: float
    ece: float
    auc: float | None
    confusion: np.ndarray
    bins: list[Bin]


def measure(probabilities: np.ndarray, truth: np.ndarray) -> Measures:
    """Return the measures of probabilities (texts, labels), which sum to 1, against the true labels' numbers."""
    n_labels = probabilities.shape[1]
    named = probabilities.argmax(1)
    confusion = np.zeros((n_labels, n_labels), np.int64)
    np.add.at(confusion, (truth, named), 1)
    right = np.diag(confusion)
    sizes = confusion.sum(0) + confusion.sum(1)
    present = sizes > 0
    f1 = 2 * right[present] / sizes[present]
    bins = calibration(probabilities.max(1), named == truth)
    ece = sum(abs(one.confidence - one.accuracy) * one.texts for one in bins) / len(truth)
    auc = None
    if n_labels == 2:
        false, true = roc(probabilities[:, 1], truth == 1)
        auc = float(np.trapezoid(true, false))
    return Measures(float((named == truth).mean()), float(f1.mean()), float(ece), auc, confusion, bins)


def calibration(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return the bins (low, high] of confidence that have texts."""
    numbers = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    found = []
    for number in np.unique(numbers):
        inside = numbers == number
        found.append(Bin(float(confidence[inside].mean()), float(right[inside].mean()), int(inside.sum())))
    return found


def roc(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of false and of true positives for every threshold, from none to all; ties are one step."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.concatenate([[0], np.cumsum(positive[order])[last]]) / max(1, int(positive.sum()))
    false = np.concatenate([[0], np.cumsum(~positive[order])[last]]) / max(1, int((~positive).sum()))
    return false, true


def difference(one: np.ndarray, other: np.ndarray, groups: Sequence[str] | None = None) -> Difference:
    """Return the mean of one - other, pair by pair, and its standard error.

    Pairs of one group, such as the texts of a page, resemble each other and are no independent trials: the standard
    error is then that of the groups (Liang and Zeger 1986), which for groups of one is the usual one.
    """
    apart = np.asarray(one, float) - np.asarray(other, float)
    numbers = np.arange(len(apart)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sums = np.bincount(numbers, apart - apart.mean())
    n_groups = len(sums)
    correction = n_groups / (n_groups - 1) if n_groups > 1 else math.nan
    return Difference(float(apart.mean()), math.sqrt(correction * float((sums**2).sum())) / len(apart))
