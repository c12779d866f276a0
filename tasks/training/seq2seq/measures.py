"""How good written texts are: exact match, and chrF as sacrebleu computes it; beside them, what copying would reach."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

RESAMPLES = 1_000


@dataclass(frozen=True)
class Measures:
    """The measures of texts against what was wanted.

    exact_match: share of texts that are equal to what was wanted, with its standard error (None for one text). chrf:
    character F-score of the whole, 0 to 100 (Popović 2015); sacrebleu's signature says how it was computed. Its
    standard error is our own: the standard deviation over 1,000 samples of the texts, drawn with replacement.
    """

    exact_match: float
    exact_match_stderr: float | None
    chrf: float
    chrf_stderr: float | None
    signature: str


def measure(written: Sequence[str], wanted: Sequence[str]) -> Measures:
    """Return the measures of at least one text."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    chrf, signature = metric.corpus_score(list(written), [list(wanted)]), str(metric.get_signature())
    error = _bootstrap(metric, written, wanted) if len(written) > 1 else None
    exact = [float(one == other) for one, other in zip(written, wanted, strict=True)]
    stderr = statistics.stdev(exact) / math.sqrt(len(exact)) if len(exact) > 1 else None
    return Measures(statistics.fmean(exact), stderr, chrf.score, error, signature)


def _bootstrap(metric: CHRF, written: Sequence[str], wanted: Sequence[str]) -> float:
    """Return the standard error of chrF. It is computed from sums over texts, which sacrebleu counts.

    sacrebleu's own bootstrap (2.6) ends with an error: it takes the mean of numbers of two kinds.
    """
    import numpy as np

    counts = np.array(metric._extract_corpus_statistics(list(written), [list(wanted)]), dtype=np.float64)
    n = len(counts)
    times = np.random.default_rng(0).multinomial(n, [1 / n] * n, size=RESAMPLES)
    scores = [metric._compute_f_score(row.tolist()) for row in times @ counts]
    return float(np.std(scores, ddof=1))
