"""Gains: how much better held-out items came out than before a stage, or than with something simpler."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from data_lake.store.gain import Gain


def paired(
    measure: str,
    against: str,
    reference: Sequence[float],
    reached: Sequence[float],
    *,
    sizes: Sequence[float] | None = None,
    groups: Sequence[str] | None = None,
    less_is_better: bool = False,
) -> Gain:
    """Return the gain in the mean of items that were measured twice.

    sizes: for a ratio such as nats per token, the size of each item; the measures are then sums over an item. groups:
    items of one group, such as those of a page, resemble each other, and are no independent trials. The standard error
    is that of paired differences, summed over groups (Liang and Zeger 1986); of a ratio, the linearised one (Cochran
    1977, section 6.4).
    """
    n = len(reference)
    weights = [1.0] * n if sizes is None else list(sizes)
    total = math.fsum(weights)
    old, new = math.fsum(reference) / total, math.fsum(reached) / total
    apart = [after - before for before, after in zip(reference, reached, strict=True)]
    mean = math.fsum(apart) / total
    residuals: defaultdict[str, float] = defaultdict(float)
    units_of = groups or [str(number) for number in range(n)]
    for group, one, weight in zip(units_of, apart, weights, strict=True):
        residuals[group] += one - mean * weight
    units = len(residuals)
    squares = math.fsum(one**2 for one in residuals.values())
    stderr = math.sqrt(units / (units - 1) * squares) / total if units > 1 else None
    return Gain(
        measure=measure,
        against=against,
        items=n,
        reference=old,
        reached=new,
        gain=-mean if less_is_better else mean,
        stderr=stderr,
    )
