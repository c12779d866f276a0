"""How good written texts are: exact match, and chrF as sacrebleu computes it; beside them, what copying would reach."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measures:
    """The measures of texts against what was wanted.

    exact_match: share of texts that are equal to what was wanted, with its standard error (None for one text). chrf:
    character F-score of the whole, 0 to 100 (Popović 2015); sacrebleu's signature says how it was computed.
    """

    exact_match: float
    exact_match_stderr: float | None
    chrf: float
    signature: str


def measure(written: Sequence[str], wanted: Sequence[str]) -> Measures:
    """Return the measures of at least one text."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    chrf = metric.corpus_score(list(written), [list(wanted)])
    exact = [float(one == other) for one, other in zip(written, wanted, strict=True)]
    stderr = statistics.stdev(exact) / math.sqrt(len(exact)) if len(exact) > 1 else None
    return Measures(statistics.fmean(exact), stderr, chrf.score, str(metric.get_signature()))
