"""Shots: the solved examples that stand before a question, drawn as lm-eval 0.4.13 draws them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tasks.benchmarks.base import Benchmark, Item

SEED = 1234
"""lm-eval's seed of the draws (fewshot_random_seed)."""


def shots_of(benchmark: Benchmark, asked: Sequence[Item], pool: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Return the shots of each item, drawn in the order of the items: what an item is shown depends on those before it.

    Of benchmarks with `first_shots` it is the first of the item's subject. Raises ValueError if the pool is too small.
    """
    if count == 0 or benchmark.fixed_shots:
        return [()] * len(asked)
    if benchmark.first_shots:
        by_subject: dict[str, list[Item]] = {}
        for item in pool:
            by_subject.setdefault(item.subject, []).append(item)
        return [by_subject.get(item.subject, [])[:count] for item in asked]
    drawn = count + benchmark.excludes
    if len(pool) < drawn:
        raise ValueError(
            f"{count} shots of {benchmark.name} are drawn from {drawn} rows, but there are only {len(pool):,}."
        )
    generator, pool = random.Random(SEED), list(pool)
    shots: list[Sequence[Item]] = []
    for item in asked:
        found = generator.sample(pool, drawn)
        if benchmark.excludes:
            found = [one for one in found if one.document != item.document][:count]
        if len(found) < count:  # the item stands in the pool more than once
            found = generator.sample([one for one in pool if one.document != item.document], count)
        shots.append(found)
    return shots
