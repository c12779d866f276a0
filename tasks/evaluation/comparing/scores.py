"""The scores of a benchmark's items by one model, as comparisons read them from artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.evaluation.comparing.statistics import Bools, Floats


@dataclass(frozen=True)
class Scores:
    """The items of one benchmark as one model answered them; all sequences have one entry per item.

    names: the item's name in the questions. keys: digests of prompt, choices and answer, `loose` of the prompt's last
    paragraph only: without shots. metrics: numbers, NaN where an item has none; those in `shares` are 0 or 1.
    groups: column -> the item's group in it, such as its subject.
    """

    names: list[str]
    keys: list[str]
    loose: list[str]
    contaminated: Bools
    metrics: Mapping[str, Floats]
    shares: frozenset[str]
    groups: Mapping[str, list[str]] = field(default_factory=dict)
