"""Which documents go: preferences, buckets, and no removal without a like that stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dedup.decisions import Decision, buckets_of, exact_duplicates, jaccard, near_duplicates, preference


def test_the_longest_comes_first_and_equals_by_id() -> None:
    assert preference([5, 9, 5, 9], ["b", "d", "a", "c"]).tolist() == [3, 1, 2, 0]


def test_exact_duplicates_point_at_the_preferred_one() -> None:
    digests = [b"x", b"y", b"x", b"x"]
    assert exact_duplicates(digests, np.array([3, 0, 1, 2])) == [Decision(0, 3, 1.0, True), Decision(2, 3, 1.0, True)]


def test_buckets_are_shared_keys_and_never_shared_by_bands() -> None:
    keys = np.array([[1, 1, 2, 3], [7, 1, 1, 7]], dtype=np.uint64)
    buckets = buckets_of(keys)
    assert buckets[0].tolist() == [0, 0, -1, -1]
    assert sorted(buckets[1].tolist()) == [1, 1, 2, 2]
    assert buckets[1, 0] == buckets[1, 3]
    assert buckets_of(np.zeros((3, 0), np.uint64)).shape == (3, 0)


SETS = st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=1, max_size=12)


@given(a=st.sets(st.integers(0, 2**64 - 1)), b=st.sets(st.integers(0, 2**64 - 1)), both=st.sets(st.integers(0, 99)))
def test_jaccard_is_exact(a: set[int], b: set[int], both: set[int]) -> None:
    a, b = a | both, b | both
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in (a, b)]
    assert jaccard(*arrays) == (len(a & b) / len(a | b) if a | b else 0.0)
    assert jaccard(*arrays) == jaccard(*reversed(arrays))


def decide(sets: list[set[int]], threshold: float, max_compared: int = 200) -> list[Decision]:
    """All documents in one bucket, so that every pair is nominated; shingles serve as signatures."""
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in sets]
    order = preference([len(each) for each in sets], [f"{i:03d}" for i in range(len(sets))])
    buckets = np.zeros((1, len(sets)), dtype=np.int64)
    signed = np.array([[value in each for value in range(200)] for each in sets], dtype=np.uint32)
    return list(
        near_duplicates(buckets, order, signed, arrays.__getitem__, threshold=threshold, max_compared=max_compared)
    )


@settings(max_examples=200)
@given(SETS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_removed_ones_have_a_like_that_stays_and_kept_ones_have_none(sets: list[set[int]], threshold: float) -> None:
    decisions = decide(sets, threshold)
    removed = {d.document: d for d in decisions if d.removed}
    assert len(removed) == sum(d.removed for d in decisions)
    stay = set(range(len(sets))) - set(removed)

    def alike(i: int, j: int) -> float:
        return len(sets[i] & sets[j]) / len(sets[i] | sets[j])

    for i, decision in removed.items():
        assert decision.partner in stay
        assert decision.score == alike(i, decision.partner) >= threshold
        assert len(sets[decision.partner]) >= len(sets[i])
    assert all(alike(i, j) < threshold for i in stay for j in stay if i < j)
    rejected = {(d.document, d.partner) for d in decisions if not d.removed}
    assert all(alike(i, j) < threshold for i, j in rejected)
    assert len(rejected) == len(stay) * (len(stay) - 1) // 2


def test_a_giant_bucket_costs_its_cap_and_not_its_square() -> None:
    """Documents that share a template but differ: each meets at most the 5 kept ones nearest to it in length."""
    sets = [set(range(100 * i, 100 * i + 50 + i % 7)) for i in range(300)]
    decisions = decide(sets, 0.8, max_compared=5)
    assert not any(d.removed for d in decisions)
    assert len(decisions) == 5 * 300 - 15
    assert all(abs(len(sets[d.document]) - len(sets[d.partner])) <= 1 for d in decisions)


def test_of_too_many_candidates_the_most_alike_are_compared() -> None:
    """Ten kept documents in disjoint buckets; the eleventh is in all of those and like the third."""
    sets = [set(range(10 * i, 10 * i + 10)) for i in range(10)] + [set(range(20, 29))]
    arrays = [np.array(sorted(each), dtype=np.uint64) for each in sets]
    buckets = np.full((10, 11), -1, dtype=np.int64)
    buckets[np.arange(10), np.arange(10)] = buckets[:, 10] = np.arange(10)
    signed = np.array([[value in each for value in range(110)] for each in sets], dtype=np.uint32)
    order = np.arange(11)
    found = list(near_duplicates(buckets, order, signed, arrays.__getitem__, threshold=0.8, max_compared=2))
    assert found == [Decision(10, 2, 0.9, True)]
