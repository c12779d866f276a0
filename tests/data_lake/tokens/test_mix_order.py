"""The order of a mix: exact after every draw, the same wherever it is entered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_lake.tokens.mix_order import BLOCK, MixOrder

WEIGHTS = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1e-6, 1.0]), min_size=1, max_size=9).filter(
    lambda weights: sum(weights) > 1e-3
)


@settings(max_examples=150, deadline=None)
@given(weights=WEIGHTS, draws=st.integers(1, 400))
@example(weights=[60, 22, 8, 8, 3], draws=400)
@example(weights=[1, 1, 1], draws=7)
@example(weights=[1, 1e-6], draws=3)
def test_no_source_is_ever_more_than_one_draw_off(weights: list[float], draws: int) -> None:
    """Tijdeman's bound: 1 - 1/(2n - 2) for n sources with a share."""
    shares = np.array(weights) / np.sum(weights)
    sources, before = MixOrder(shares.tolist()).draws(0, draws)
    counts = np.cumsum(np.eye(len(shares), dtype=np.int64)[sources], axis=0)
    off = np.abs(counts - shares * np.arange(1, draws + 1)[:, None])
    n = np.count_nonzero(shares)
    assert off.max() <= (1 - 1 / (2 * n - 2) if n > 1 else 0) + 1e-6
    assert (before == counts[np.arange(draws), sources] - 1).all()
    assert not np.isin(np.flatnonzero(shares == 0), sources).any()


@settings(max_examples=40, deadline=None)
@given(weights=WEIGHTS, start=st.integers(0, 3 * BLOCK), size=st.integers(0, 300))
@example(weights=[2, 1], start=BLOCK - 5, size=10)
@example(weights=[2, 1], start=BLOCK, size=1)
def test_it_can_be_entered_anywhere(weights: list[float], start: int, size: int) -> None:
    shares = (np.array(weights) / np.sum(weights)).tolist()
    whole, before = MixOrder(shares).draws(0, start + size)
    late = MixOrder(shares)
    sources, earlier = late.draws(start, start + size)
    assert np.array_equal(sources, whole[start:])
    assert np.array_equal(earlier, before[start:])
    assert np.array_equal(late.counts(start), np.bincount(whole[:start], minlength=len(shares)))
    assert np.array_equal(late.draws(0, 5)[0], MixOrder(shares).draws(0, 5)[0]), "going back is going back"


def test_the_order_never_changes() -> None:
    """A resumed run must see what it would have seen: this order is for ever."""
    order = MixOrder([0.6, 0.22, 0.08, 0.08, 0.02])
    assert "".join(map(str, order.draws(0, 50)[0].tolist())) == GOLDEN
    assert order.counts(10_000).tolist() == [6000, 2200, 800, 800, 200]


GOLDEN = "00102001030100100201003010010200103001040010200310"


def test_shares_that_are_none_are_refused() -> None:
    for wrong in ([], [0.5, 0.4], [1.5, -0.5]):
        with pytest.raises(ValueError, match="add up to 1"):
            MixOrder(wrong)
