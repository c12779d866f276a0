"""Metrics as MLflow logged them: what is left to compare where the lake does not have the evaluations themselves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# `acc_stderr` belongs to `acc`, and `acc_stderr_pretrain` to `acc_pretrain`.
STDERR = re.compile(r"_stderr(?=_|$)")
# Half-width of a 95 % interval in standard errors of the difference, under the normal approximation.
Z = 1.96


@dataclass(frozen=True)
class MetricChange:
    """A metric in both runs. The verdict needs a standard error in both, logged as `<metric>_stderr`."""

    name: str
    before: float | None
    after: float | None
    difference: float | None
    stderr: float | None  # of the difference
    verdict: Literal["different", "not distinguishable"] | None


def logged_changes(before: Mapping[str, float], after: Mapping[str, float]) -> list[MetricChange]:
    """Return all metrics of two runs, whether they differ or not."""
    return [_change(name, before, after) for name in {**before, **after} if not STDERR.search(name)]


def _change(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> MetricChange:
    """One metric's change. The runs' errors are assumed to be independent. On the same items they are positively
    correlated, so the verdict "different" is safe, and "not distinguishable" may be too cautious."""
    old, new = before.get(name), after.get(name)
    if old is None or new is None:
        return MetricChange(name, old, new, None, None, None)
    difference = new - old
    errors = [value for run in (before, after) for key, value in run.items() if key != name == STDERR.sub("", key)]
    if len(errors) < 2:
        return MetricChange(name, old, new, difference, None, None)
    stderr = math.hypot(*errors)
    different = abs(difference) > Z * stderr
    return MetricChange(name, old, new, difference, stderr, "different" if different else "not distinguishable")
