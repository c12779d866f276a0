"""Strips: a score with its error bar, chance and controls on a line from 0 to 1, as numbers that a page draws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.evaluation.evaluate.controls import BEATEN, IN_WORDS

WIDTH, MARGIN = 240, 8
"""Of a strip, in pixels; the margin keeps the dots of 0 and 1 whole."""
_NO_SHARE = re.compile("perplexity|bits_|diff|mcc")


@dataclass(frozen=True)
class Strip:
    """Places in pixels from the left. low, high: two standard errors to each side, None if there is no error."""

    dot: float
    low: float | None
    high: float | None
    chance: float | None
    controls: tuple[tuple[float, str], ...]
    """Place of each control, and its name with its value."""


def strip_of(found: Mapping[str, Any], metric: str) -> Strip | None:
    """Return the strip of a benchmark, or of a part of it; None if its metric has no scale from 0 to 1."""
    value, stderr = found.get(metric), found.get(f"{metric}_stderr")
    if value is None or _NO_SHARE.search(metric) or not 0 <= value <= 1:
        return None
    chance = found.get("chance")
    controls = [(IN_WORDS[name], control["value"]) for name, control in found.get("controls", {}).items()]
    return Strip(
        place(value),
        None if not stderr else place(value - BEATEN * stderr),
        None if not stderr else place(value + BEATEN * stderr),
        None if chance is None else place(chance),
        tuple((place(own), f"{name}: {own:.3f}") for name, own in controls if own is not None),
    )


def place(value: float) -> float:
    """Return the place of a value from 0 to 1; values beyond lie at the ends."""
    return round(MARGIN + (WIDTH - 2 * MARGIN) * min(1.0, max(0.0, value)), 1)
