"""Which near-duplicates are removed: none without a kept one like it, and the same however little is read at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.tables.runs import Runs, write_run
from tasks.corpus.dedup.corpus import Removed
from tasks.corpus.dedup.decisions import near_duplicates

SETS = st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=12)


def alike(a: set[int], b: set[int]) -> float:
    return len(a & b) / len(a | b)


def decide(folder: Path, sets: list[set[int]], threshold: float, limit: int) -> dict[int, tuple[int, float]]:
    """All pairs at the threshold as edges in two runs; larger sets are preferred."""
    edges = []
    for i, mine in enumerate(sets):
        for j, other in enumerate(sets):
            if (len(other), -j) > (len(mine), -i) and alike(mine, other) >= threshold:
                ranks = 100 - len(mine), 7, i, 100 - len(other), 7, j
                edges.append([*ranks, len(mine & other), len(mine | other)])
    rows = np.array(edges, dtype=np.uint64).reshape(-1, 8).T
    write_run(folder / "a.run", rows[:, ::2])
    write_run(folder / "b.run", rows[:, 1::2])
    removed = Removed(len(sets))
    made = list(near_duplicates(Runs([folder / "a.run", folder / "b.run"], 8), removed, limit))
    decided = {int(i): (int(j), a / b) for i, j, a, b in np.concatenate([np.empty((4, 0)), *made], axis=1).T}
    assert {i for i in range(len(sets)) if removed[np.array([i], np.uint64)][0]} == set(decided)
    return decided


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=SETS, threshold=st.sampled_from([0.3, 0.5, 0.8, 1.0]), limit=st.sampled_from([1, 3, 1000]))
def test_those_that_go_have_a_like_that_stays_and_the_others_none(
    tmp_path: Path, sets: list[set[int]], threshold: float, limit: int
) -> None:
    decided = decide(tmp_path, sets, threshold, limit)
    kept = set(range(len(sets))) - set(decided)
    for i, (partner, score) in decided.items():
        assert partner in kept
        assert score == alike(sets[i], sets[partner]) >= threshold
        assert score == max(alike(sets[i], sets[j]) for j in kept if (len(sets[j]), -j) > (len(sets[i]), -i))
    assert all(alike(sets[i], sets[j]) < threshold for i in kept for j in kept if i < j)


def test_of_equally_similar_partners_the_preferred_one_is_named(tmp_path: Path) -> None:
    assert decide(tmp_path, [set(range(9)), set(range(10)), {*range(9), 99}], 0.85, 1000) == {0: (1, 0.9)}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_a_bit_for_each_document(count: int, tmp_path: Path) -> None:
    removed = Removed(count)
    chosen = np.unique(np.random.default_rng(count).integers(0, count, count // 2)).astype(np.uint64)
    removed.add(chosen)
    everything = np.arange(count, dtype=np.uint64)
    again = Removed(0, removed.save(tmp_path / "removed.bits"))
    assert everything[removed[everything]].tolist() == everything[again[everything]].tolist() == chosen.tolist()
