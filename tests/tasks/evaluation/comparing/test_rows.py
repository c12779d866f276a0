"""tasks/evaluation/comparing/rows.py: which rows there are, what they count, and what they are called in the end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_lake.store.lake import Lake
from tasks.evaluation.comparing.items import Sheet, sheet_of
from tasks.evaluation.comparing.rows import Row, chosen, judged, rows_of, without_pair
from tasks.evaluation.comparing.statistics import mcnemar, paired_bootstrap
from tests.evaluations import documents, evaluation, items, model, questions


@pytest.fixture
def sheet(tmp_path: Path) -> Any:
    """Makes the sheet of a model's evaluation."""
    lake = Lake(tmp_path / "lake")
    made: list[Sheet] = []

    def of(rows: list[dict[str, Any]], texts: list[dict[str, Any]] | None = None, asked: str = "q") -> Sheet:
        one = evaluation(lake, model(lake, number=len(made)), questions(lake, asked), rows, texts or [])
        made.append(sheet_of(one))
        return made[-1]

    return of


def by_name(rows: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows}


RNG = np.random.default_rng(0)
WEAK = (RNG.random(200) < 0.4).tolist()
STRONG = [bool(one or RNG.random() < 0.5) for one in WEAK]


def test_each_row_is_its_test_on_the_items_that_both_have(sheet: Any) -> None:
    nats = RNG.lognormal(6, 0.3, 30)
    worse = nats * 1.1 + RNG.normal(0, 3, 30)
    before = sheet(items("b", WEAK), documents(nats.tolist()))
    after = sheet(items("b", STRONG)[:150], documents(worse.tolist()))
    rows = by_name(judged(chosen(rows_of([before], [after]), [])))
    assert list(rows) == ["bits_per_byte", "b_acc"]  # acc_norm is acc here, item by item
    named = chosen(rows_of([before], [after]), ["b_acc_norm"])
    assert [(row.name, row.same_as) for row in named] == [("b_acc_norm", "b_acc")]  # but it can be asked for
    acc, bits = rows["b_acc"], rows["bits_per_byte"]
    exact = mcnemar(np.array(WEAK[:150]), np.array(STRONG[:150]))
    assert (acc.p, acc.difference, acc.n, acc.unit) == (exact.p, exact.difference, 150, "items")
    assert (acc.before, acc.after) == (pytest.approx(np.mean(WEAK[:150])), pytest.approx(np.mean(STRONG[:150])))
    assert (acc.only_before, acc.only_after, acc.verdict) == (50, 0, "better")
    resampled = paired_bootstrap((worse - nats) / math.log(2), np.full(30, 1000.0))
    assert bits.p == resampled.p
    assert bits.before == pytest.approx(nats.sum() / 30_000 / math.log(2))
    assert (bits.verdict, bits.n, bits.unit) == ("worse", 30, "documents")  # less is better
    swapped = by_name(judged(rows_of([after], [before])))
    assert (swapped["b_acc"].verdict, swapped["bits_per_byte"].verdict) == ("worse", "better")


def test_clean_leaves_out_what_either_model_may_have_read(sheet: Any) -> None:
    marks = [[number in places for number in range(200)] for places in ({0, 1}, {1, 2})]
    before, after = (
        sheet(items("b", right, contaminated=mark)) for right, mark in zip((WEAK, STRONG), marks, strict=True)
    )
    rows = by_name(rows_of([before], [after]))
    assert (rows["b_acc"].n, rows["b_acc"].contaminated) == (200, 3)
    assert (rows["b_acc_clean"].n, rows["b_acc_clean"].contaminated) == (197, 0)
    assert rows["b_acc_clean"].after == pytest.approx(np.mean(STRONG[3:]))


def test_many_rows_are_corrected_together_and_say_how_many_items_would_tell(sheet: Any) -> None:
    right = [True] * 10 + [False] * 190
    none = [False] * 200
    several = sheet([row for n in range(6) for row in items(f"b{n}", none)])
    better = sheet([row for n in range(6) for row in items(f"b{n}", right if n == 0 else none)])
    one = by_name(judged(chosen(rows_of([several], [better]), [])))["b0_acc"]
    assert one.p == pytest.approx(2 / 1024)
    assert one.p_adjusted == pytest.approx(6 * 2 / 1024)
    assert one.verdict == "better"
    fewer = sheet([row for n in range(6) for row in items(f"b{n}", right[3:] if n == 0 else none)])
    unsure = by_name(judged(chosen(rows_of([several], [fewer]), [])))["b0_acc"]
    assert (unsure.p < 0.05 < unsure.p_adjusted, unsure.verdict) == (True, "not distinguishable")
    assert unsure.needed is not None
    assert unsure.needed > 197
    alone = judged(chosen(rows_of([several], [fewer]), ["b0_acc"]))
    assert [row.verdict for row in alone] == ["better"]  # the only question that was asked
    equal = by_name(judged(chosen(rows_of([several], [fewer]), [])))["b1_acc"]
    assert (equal.verdict, equal.needed) == ("not distinguishable", None)


def test_several_seeds_on_both_sides_are_compared_by_their_spread(sheet: Any) -> None:
    def seeds(level: float) -> list[Sheet]:
        return [sheet(items("b", [n < level * 100 + jitter for n in range(100)])) for jitter in (-3, 0, 3)]

    rows = by_name(judged(rows_of(seeds(0.3), seeds(0.5))))
    assert (rows["b_acc"].before, rows["b_acc"].after) == (pytest.approx(0.3), pytest.approx(0.5))
    assert (rows["b_acc"].unit, rows["b_acc"].n, rows["b_acc"].verdict) == ("seeds", 3, "better")
    assert "Welch" in rows["b_acc"].test
    near = by_name(judged(rows_of(seeds(0.3), seeds(0.31))))["b_acc"]
    assert (near.verdict, near.needed > 3 if near.needed else None) == ("not distinguishable", True)
    single = by_name(rows_of(seeds(0.3), seeds(0.5)[:1]))["b_acc"]
    assert (single.unit, single.before) == ("items", pytest.approx(0.27))  # of the first seed alone


def test_metrics_that_are_no_shares_and_those_of_which_neither_end_is_better(sheet: Any) -> None:
    scores = RNG.random(60)
    before, after = (
        sheet(items(name, [None] * 60, correct_norm=[None] * 60, score=(scores + more).tolist()))
        for name in ("truthfulqa_mc2",)
        for more in (0.0, 0.1)
    )
    (row,) = judged(rows_of([before], [after]))
    assert (row.name, row.verdict) == ("truthfulqa_mc2_score", "better")
    (bias,) = judged(rows_of(*([sheet(items("crows_pairs", [None] * 60, correct_norm=[None] * 60,
                                            score=(scores + more).tolist()))] for more in (0.0, 0.1))))  # fmt: skip
    assert bias.verdict == "different"


def test_groups_have_rows_of_their_own_if_asked_for(sheet: Any) -> None:
    sources = [("a.org", "b.org")[n % 2] for n in range(20)]
    before, after = (
        sheet(items("b", right, subject=["law"] * 100 + ["art"] * 100),
              documents([level] * 20, source=sources)) for right, level in ((WEAK, 900.0), (STRONG, 800.0))
    )  # fmt: skip
    names = set(by_name(chosen(rows_of([before], [after], groups=True), [])))
    assert names == {
        "bits_per_byte", "bits_per_byte_source=a.org", "bits_per_byte_source=b.org",
        "b_acc", "b_acc_subject=art", "b_acc_subject=law",
    }  # fmt: skip
    assert set(by_name(chosen(rows_of([before], [after]), []))) == {"bits_per_byte", "b_acc"}


def test_benchmarks_that_one_lacks_are_said_and_nothing_shared_is_no_row(sheet: Any) -> None:
    before, after = sheet(items("b", WEAK), documents([1.0])), sheet(items("c", WEAK))
    assert rows_of([before], [after]) == []
    said = " ".join(without_pair(before, after))
    assert f"{after.name} has no scores of b, the held-out text, which {before.name} has." in said
    assert f"{before.name} has no scores of c" in said
