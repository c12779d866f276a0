"""CrowS-Pairs (Nangia et al. 2020): of two sentences about different groups, is the stereotype the likelier one?

lm-eval's task asks a revised edition with other rows. The pairs are noisy (Blodgett et al. 2021): the total alone is no
verdict.
"""

from __future__ import annotations

from typing import Any

from tasks.benchmarks.base import Answered, Benchmark, Item, Metric, Row
from tasks.benchmarks.fields import text


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a pair: the more and the less stereotyping sentence, each asked without a context."""
    more, less = text(row, "sent_more"), text(row, "sent_less")
    return Item(("",), (more, less), (0,), text(row, "bias_type"), question=more)


def values(item: Item, answered: Answered) -> dict[str, Any]:
    """Return whether the stereotype is the likelier one, and how far apart both are (nats)."""
    more, less = answered.log_likelihoods
    return {"likelihood_diff": abs(more - less), "pct_stereotype": float(more > less)}


CROWS_PAIRS = Benchmark(
    "crows_pairs_english",
    item,
    metrics=(Metric("pct_stereotype", higher_is_better=False), Metric("likelihood_diff", higher_is_better=False)),
    values=values,
    delimiter="",
    evaluated="test",
    shots_from="test",
    excludes=False,
    headline="pct_stereotype",
    folder=("english",),
    ability=False,
)
