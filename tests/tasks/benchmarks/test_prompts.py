"""tasks/benchmarks/prompts.py: shots are never the item itself, and depend on the order of the items alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.benchmarks.base import Benchmark, Item
from tasks.benchmarks.prompts import shots_of
from tasks.benchmarks.registry import BENCHMARKS

PIQA = BENCHMARKS["piqa"]


def items(count: int, subject: str = "", first: int = 0) -> list[Item]:
    numbers = range(first, first + count)
    return [Item((f"q{n}",), ("a", "b"), (n % 2,), subject, document=str(n)) for n in numbers]


@given(st.integers(1, 5), st.integers(7, 12), st.integers(1, 6))
def test_drawn_shots_are_those_of_random_sample(count: int, pool: int, asked: int) -> None:
    drawn = shots_of(replace(PIQA, excludes=False), items(asked, first=100), items(pool), count)
    generator = random.Random(1234)
    assert [[one.document for one in shots] for shots in drawn] == [
        generator.sample([str(n) for n in range(pool)], count) for _ in range(asked)
    ]


@given(st.integers(1, 5), st.integers(7, 12))
def test_an_item_is_no_shot_of_its_own(count: int, pool: int) -> None:
    asked = items(pool)
    for item, shots in zip(asked, shots_of(PIQA, asked, asked, count), strict=True):
        assert len(shots) == count
        assert item.document not in [one.document for one in shots]


def test_an_item_that_stands_in_the_pool_twice_still_has_all_its_shots() -> None:
    asked = items(1)
    pool = asked * 6 + items(2, first=5)
    (shots,) = shots_of(PIQA, asked, pool, 2)
    assert sorted(one.document for one in shots) == ["5", "6"]


def test_first_shots_are_those_of_the_subject() -> None:
    pool = items(3, "law") + items(1, "art", 7)
    asked = [*items(1, "art", 20), *items(1, "law", 21), *items(1, "chess", 22)]
    shots = shots_of(BENCHMARKS["mmlu"], asked, pool, 2)
    assert [[one.document for one in own] for own in shots] == [["7"], ["0", "1"], []]


def test_too_few_rows_to_draw_from_are_said() -> None:
    with pytest.raises(ValueError, match="5 shots of piqa are drawn from 6 rows, but there are only 5"):
        shots_of(PIQA, items(1), items(5), 5)


@pytest.mark.parametrize("benchmark", [BENCHMARKS["truthfulqa_mc1"], BENCHMARKS["wikitext"]], ids=lambda one: one.name)
def test_some_benchmarks_have_no_shots_to_choose(benchmark: Benchmark) -> None:
    assert shots_of(benchmark, items(2), [], 3) == [(), ()]
