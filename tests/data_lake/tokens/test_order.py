"""tokens/order.py: a permutation that never changes, once per epoch, and the same rows for any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_lake.tokens.order import draws_of_step, permuted, shuffled


@settings(max_examples=60)
@given(n=st.integers(1, 3000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
@example(n=1, seed=0, epoch=0)
@example(n=4, seed=2**63 - 1, epoch=10**6)
def test_the_order_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    assert sorted(permuted(np.arange(n), n, seed, epoch).tolist()) == list(range(n))


def test_orders_look_random_and_differ() -> None:
    n = 5000
    first, second, other = (permuted(np.arange(n), n, *key) for key in ((0, 0), (0, 1), (1, 0)))
    for a, b in ((first, second), (first, other), (second, other), (first, np.arange(n))):
        assert np.count_nonzero(a == b) < 15  # one on average
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.06  # four standard deviations
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.06
    assert permuted(np.arange(5), 10**12, 0, 0).max() < 10**12


def test_the_order_never_changes() -> None:
    """A resumed run must see what it would have seen: these numbers are for ever."""
    assert permuted(np.arange(8), 1000, 42, 0).tolist() == GOLDEN
    assert permuted(np.arange(8), 8, 1337, 3).tolist() == GOLDEN_8


GOLDEN = [123, 736, 258, 433, 612, 968, 816, 573]
GOLDEN_8 = [3, 5, 0, 7, 6, 2, 4, 1]


@settings(max_examples=60)
@given(n=st.integers(1, 50), seed=st.integers(0, 2**63 - 1), start=st.integers(0, 10**9), size=st.integers(1, 200))
def test_each_item_comes_once_per_epoch(n: int, seed: int, start: int, size: int) -> None:
    first = start // n * n
    taken = shuffled(np.arange(first, first + 2 * n), n, seed)
    assert sorted(taken[:n].tolist()) == sorted(taken[n:].tolist()) == list(range(n))
    some = np.arange(start, start + size)
    assert np.array_equal(shuffled(some, n, seed)[::-1], shuffled(some[::-1], n, seed))  # a position's item is its own


def test_an_epoch_may_end_within_a_step() -> None:
    taken = [i for step in range(10) for i in shuffled(draws_of_step(step, 7), 35, 1).tolist()]
    assert sorted(taken[:35]) == sorted(taken[35:]) == list(range(35))
    assert taken[:35] != taken[35:]
    assert set(shuffled(draws_of_step(0, 5), 2, 0).tolist()) == {0, 1}


@settings(max_examples=60)
@given(step=st.integers(0, 10**12), batch=st.integers(1, 64), world_size=st.integers(1, 64))
@example(step=10**12, batch=64, world_size=64)
@example(step=3, batch=7, world_size=3)
def test_the_ranks_together_read_the_batch_of_one_process(step: int, batch: int, world_size: int) -> None:
    world_size = min(world_size, batch)
    parts = [draws_of_step(step, batch, rank, world_size) for rank in range(world_size)]
    assert np.array_equal(np.concatenate(parts), draws_of_step(step, batch))
    assert np.array_equal(np.concatenate(parts), step * batch + np.arange(batch))
    sizes = [len(part) for part in parts]
    assert 1 <= min(sizes) <= max(sizes) <= min(sizes) + 1


def test_ranks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="raise batch_size to at least 8"):
        draws_of_step(0, 4, 0, 8)
    for rank in (-1, 2):
        with pytest.raises(ValueError, match="does not exist among 2"):
            draws_of_step(0, 4, rank, 2)
