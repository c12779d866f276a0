"""tasks/evaluation/comparing/statistics.py: equal to scipy and to counting by hand, right as often as they promise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.evaluation.comparing import statistics
from tasks.evaluation.comparing.statistics import Effect, holm, mcnemar, needed, over_seeds, paired_bootstrap

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def sides(answers: list[tuple[bool, bool]]) -> tuple[np.ndarray, np.ndarray]:
    before, after = zip(*answers, strict=True)
    return np.array(before), np.array(after)


# -- McNemar -----------------------------------------------------------------------------------------------------------


@given(ANSWERS)
def test_mcnemar_is_the_two_sided_binomial_of_the_items_that_one_model_alone_gets_right(
    answers: list[tuple[bool, bool]],
) -> None:
    before, after = sides(answers)
    won, lost = answers.count((False, True)), answers.count((True, False))
    tails = [math.comb(won + lost, k) / 2 ** (won + lost) for k in range(min(won, lost) + 1)]
    found = mcnemar(before, after)
    assert found.p == pytest.approx(min(1.0, 2 * sum(tails)))
    assert found.difference == pytest.approx(after.mean() - before.mean())
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.difference <= found.high
    assert (found.low > 0 or found.high < 0) == (found.p < 0.05)
    swapped = mcnemar(after, before)
    assert (swapped.p, swapped.difference) == (pytest.approx(found.p), pytest.approx(-found.difference))
    assert (swapped.low, swapped.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_equal_answers_are_no_proof_that_models_are_equal() -> None:
    found = mcnemar(np.ones(60, bool), np.ones(60, bool))
    assert (found.p, found.difference) == (1.0, 0.0)
    assert found.high == pytest.approx(3 / 60, rel=0.05)  # the rule of three


# -- paired bootstrap --------------------------------------------------------------------------------------------------


def test_the_bootstrap_has_the_standard_error_of_the_plain_one_and_the_level_of_a_t_test() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0.4, 1, 60)
    found = paired_bootstrap(values)
    assert found.difference == pytest.approx(values.mean())
    plain = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=1).standard_error
    exact = stats.ttest_1samp(values, 0)
    low, high = exact.confidence_interval(0.95)
    assert found.low == pytest.approx(low, abs=0.2 * plain)
    assert found.high == pytest.approx(high, abs=0.2 * plain)
    assert found.p == pytest.approx(exact.pvalue, abs=0.003)
    assert found.spread == pytest.approx(values.std(ddof=1))


def test_a_ratio_is_weighted_by_its_bytes() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.lognormal(8, 1, 50)
    nats = sizes * 0.02 + rng.normal(0, 50, 50)
    found = paired_bootstrap(nats, sizes)
    assert found.difference == pytest.approx(nats.sum() / sizes.sum())
    draws = rng.integers(0, 50, (4000, 50))
    ratios = nats[draws].sum(1) / sizes[draws].sum(1)
    assert found.low is not None
    assert found.high is not None
    assert (found.high - found.low) / 2 == pytest.approx(2.01 * ratios.std(), rel=0.15)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_the_bootstrap_is_deterministic_and_turns_with_the_sign(values: list[float]) -> None:
    found = paired_bootstrap(np.array(values), resamples=500)
    assert found == paired_bootstrap(np.array(values), resamples=500)
    turned = paired_bootstrap(-np.array(values), resamples=500)
    assert turned.p == found.p
    assert turned.difference == -found.difference
    assert 0 < found.p <= 1
    if found.low is not None:
        assert turned.high == pytest.approx(-found.low)


def test_few_units_are_tested_by_swapping_them_in_all_ways() -> None:
    values = np.array([0.3, -0.1, 0.4, 0.2, 0.5, 0.1, 0.3])
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in itertools.product((1, -1), repeat=7)
    ]
    exact = stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
    found = paired_bootstrap(values)
    assert found.test == "sign flips, exact"
    assert found.p == np.mean(np.array(sums) >= values.sum() - 1e-9) == exact.pvalue
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high
    alone = paired_bootstrap(np.array([0.5]))
    assert (alone.p, alone.low, alone.high) == (1.0, None, None)  # one document proves nothing


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 1000)), min_size=7, max_size=11))
def test_the_interval_of_few_units_excludes_0_where_the_test_does(units: list[tuple[int, int]]) -> None:
    values, sizes = (np.array(column, dtype=float) for column in zip(*units, strict=True))
    if not values.any():
        return
    found = paired_bootstrap(values, sizes)
    signs = np.array(list(itertools.product((1, -1), repeat=len(values))))
    sums = np.abs(signs @ values)
    assert found.p == pytest.approx(np.mean(sums >= sums[0]))
    assert found.low is not None
    assert found.high is not None
    assert found.low - 1e-12 <= found.difference <= found.high + 1e-12
    assert (found.low > 0 or found.high < 0) == (found.p <= 0.05)


def test_the_interval_of_few_units_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        found = paired_bootstrap(rng.standard_t(3, 10) + 0.7)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_equal_models_and_a_difference_without_spread() -> None:
    assert paired_bootstrap(np.zeros(50)) == Effect("paired bootstrap", 0.0, 0.0, 0.0, 1.0, None)
    found = paired_bootstrap(np.arange(1, 51) * 0.1, np.arange(1.0, 51))
    assert found.difference == found.low == found.high == pytest.approx(0.1)
    assert found.p == 1 / (statistics.RESAMPLES + 1)


def test_many_units_are_added_up_to_blocks_that_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(5).normal(0.05, 1, 3000)
    blocks = paired_bootstrap(values, resamples=2000)
    monkeypatch.setattr(statistics, "MAX_BLOCKS", 3000)
    single = paired_bootstrap(values, resamples=2000)
    assert blocks.difference == pytest.approx(single.difference)
    assert blocks.low == pytest.approx(single.low, abs=0.006)
    assert blocks.p == pytest.approx(single.p, abs=0.02)


def test_the_bootstrap_is_fooled_no_more_often_than_its_level() -> None:
    """600 pairs of equally good models, with documents of very different lengths and heavy tails."""
    rng = np.random.default_rng(7)
    fooled = 0
    for _ in range(600):
        sizes = rng.lognormal(7, 1, 20)
        fooled += paired_bootstrap(rng.standard_t(4, 20) * np.sqrt(sizes), sizes, resamples=400).p < 0.05
    assert fooled / 600 < 0.08


# -- seeds -------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Precision loss")
@given(st.lists(st.floats(1, 5), min_size=2, max_size=6), st.lists(st.floats(1, 5), min_size=2, max_size=6))
def test_welch_as_scipy_has_it(before: list[float], after: list[float]) -> None:
    if np.var(before) + np.var(after) < 1e-3:
        return
    found = over_seeds(before, after)
    exact = stats.ttest_ind(after, before, equal_var=False)
    low, high = exact.confidence_interval(0.95)
    assert found is not None
    assert found.p == pytest.approx(exact.pvalue, rel=1e-6)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


def test_where_seeds_show_no_spread() -> None:
    assert over_seeds([1.0], [2.0, 2.1]) is None
    assert over_seeds([1.0, 1.0], [2.0, 2.0]) is None  # shares of a few items may agree by chance


# -- many rows, and how many items -------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_rejects_what_stepping_down_rejects(ps: list[float]) -> None:
    adjusted = holm(ps)
    for alpha in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
            if ps[place] * (len(ps) - rank) >= alpha:
                break
            rejected.add(place)
        assert {place for place, p in enumerate(adjusted) if p < alpha} == rejected
    assert all(one >= p for one, p in zip(adjusted, ps, strict=True))


def power(draw: Callable[[np.random.Generator], Effect], trials: int = 300) -> float:
    rng = np.random.default_rng(11)
    return sum(draw(rng).p < 0.05 for _ in range(trials)) / trials


def test_so_many_items_show_the_difference_in_four_of_five_trials() -> None:
    """Ask for the number, then draw samples of that number and count how often the test tells."""
    rng = np.random.default_rng(2)
    cases = rng.choice(4, 400, p=[0.4, 0.3, 0.1, 0.2])  # both, neither, only before, only after

    def answers(chosen: np.ndarray) -> Effect:
        return mcnemar(np.isin(chosen, (0, 2)), np.isin(chosen, (0, 3)))

    n = needed(answers(cases), 0.05)
    assert n is not None
    assert power(lambda rng: answers(rng.choice(cases, n))) == pytest.approx(0.8, abs=0.08)

    values = rng.normal(0.3, 1, 200)
    n = needed(paired_bootstrap(values, resamples=200), 0.05)
    assert n is not None
    assert power(lambda rng: paired_bootstrap(rng.choice(values, n), resamples=300)) == pytest.approx(0.8, abs=0.08)


def test_so_many_seeds_show_the_difference() -> None:
    found = over_seeds([1.0, 1.1, 1.2], [1.2, 1.3, 1.4])
    assert found is not None
    n = needed(found, 0.05)
    assert n is not None

    def seeds(rng: np.random.Generator) -> Effect:
        tested = over_seeds(rng.normal(1.1, 0.1, n).tolist(), rng.normal(1.3, 0.1, n).tolist())
        assert tested is not None
        return tested

    assert power(seeds) == pytest.approx(0.8, abs=0.1)
    assert needed(found, 0.001) > n  # type: ignore[operator]


def test_no_difference_needs_no_number() -> None:
    assert needed(mcnemar(np.array([True, False]), np.array([False, True])), 0.05) is None
    assert needed(paired_bootstrap(np.zeros(20)), 0.05) is None
