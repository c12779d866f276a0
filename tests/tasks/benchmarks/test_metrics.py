"""tasks/benchmarks/metrics.py: means, groups, F1, Matthews correlation and perplexities, with lm-eval's errors."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.benchmarks.metrics import aggregate, bootstrap_stderr, f1, mcc, mean_and_stderr, pooled

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)


def test_mean_and_its_error() -> None:
    assert mean_and_stderr([1, 0, 0, 1]) == (0.5, pytest.approx(math.sqrt(1 / 3 / 4)))
    assert mean_and_stderr([1]) == (1.0, None)
    assert aggregate("mean", [], 100) == (None, None)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=9), min_size=1, max_size=5))
def test_a_group_has_the_mean_of_all_its_items(groups: list[list[float]]) -> None:
    parts = [(*mean_and_stderr(values), len(values)) for values in groups]
    mean, stderr = pooled(parts)
    everything = [value for values in groups for value in values]
    assert mean == pytest.approx(sum(everything) / len(everything))
    if len(groups) == 1:
        assert stderr == pytest.approx(parts[0][1])
    else:
        assert stderr is not None
        assert stderr >= 0


def test_a_group_with_a_task_of_one_item_has_no_error() -> None:
    assert pooled([(0.5, 0.1, 4), (1.0, None, 1)]) == (pytest.approx(0.6), None)


@given(PAIRS)
def test_f1_and_matthews_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    gold, chosen = zip(*pairs, strict=True)
    assert f1(pairs) == pytest.approx(metrics.f1_score(gold, chosen, zero_division=0))
    assert mcc(pairs) == pytest.approx(metrics.matthews_corrcoef(gold, chosen), abs=1e-12)


def by_hand(values: Sequence[float], n: int) -> float:
    """lm-eval's bootstrap of a perplexity: random.choices, a thousand at a time, seeded by the chunk's number."""
    found = []
    for seed in range(n // 1000):
        generator = random.Random(seed)
        for _ in range(1000):
            drawn = generator.choices(values, k=len(values))
            found.append(math.exp(-sum(drawn) / len(drawn)))
    mean = sum(found) / len(found)
    return math.sqrt(sum((one - mean) ** 2 for one in found) / (len(found) - 1))


def test_the_bootstrap_draws_what_pythons_random_draws() -> None:
    values = [-0.5, -2.0, -1.25, -3.5, -0.1, -7.0, -2.5]
    _, stderr = aggregate("perplexity", values, 2500)
    assert stderr == pytest.approx(by_hand(values, 2500), rel=1e-9)
    assert aggregate("perplexity", values, 0) == (pytest.approx(math.exp(16.85 / 7)), None)


def test_the_bootstrap_of_many_values_goes_through_memory_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(number % 2, number % 3 % 2) for number in range(50)]
    _, whole = aggregate("mcc", pairs, 1000)
    monkeypatch.setattr("tasks.benchmarks.metrics._AT_ONCE", 70)
    assert aggregate("mcc", pairs, 1000)[1] == whole
    assert bootstrap_stderr(lambda values, places: places[:, 0] * 0.0, pairs, 1000) == 0


def test_perplexities_of_texts_are_weighted_by_their_sizes() -> None:
    values = [(-10.0, 5), (-2.0, 1)]
    assert aggregate("weighted_perplexity", values, 1000) == (pytest.approx(math.exp(2)), None)
    assert aggregate("bits_per_byte", values, 1000) == (pytest.approx(2 / math.log(2)), None)
