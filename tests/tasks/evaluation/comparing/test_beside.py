"""A judge, repeated passages and toxic continuations are rows of a comparison, paired by what was asked.

Also covers: tasks/evaluation/comparing/scores.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from data_lake.tables import schemas
from flows.comparing.comparison import Comparison, compare
from tests.evaluations import evaluation, items, model, questions
from tests.lakes import commit

ZERO = {"string": "", "int32": 0, "int64": 0, "double": 0.0, "bool": False}
JUDGE = {"model": "llama3", "prompt": "{instruction} {answer}", "seed": 1}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    return Lake(Home.from_env().lake)


def table(schema: pa.Schema, rows: Sequence[dict[str, Any]]) -> pa.Table:
    empty = {field.name: None if field.nullable else ZERO[str(field.type)] for field in schema}
    return pa.Table.from_pylist([{**empty, **row} for row in rows], schema=schema)


def judged(lake: Lake, of: Artifact, scores: Sequence[float | None], **config: Any) -> Artifact:
    rows = [{"instruction": f"{n}?", "expected": str(n), "score": score} for n, score in enumerate(scores)]
    tables = {"judgements.parquet": table(schemas.JUDGEMENTS, rows)}
    return commit(lake, "judge", tables, {"model": of}, {**JUDGE, **config}, 3, kind="Judgement")


def compared(one: Artifact, other: Artifact) -> Comparison:
    return compare([one.name, other.name], Home.from_env())


def test_a_judges_scores_are_paired_and_answers_without_one_are_left_out(lake: Lake) -> None:
    before, after = (model(lake, depth=depth) for depth in (6, 12))
    for of, scores in ((before, [50.0, 40.0, 60.0, None] * 10), (after, [70.0, 65.0, 90.0, 80.0] * 10)):
        judged(lake, of, scores)
        evaluation(lake, of, questions(lake), items("b", [True, False] * 20))
    rows = {row.name: row for row in compared(before, after).rows}
    row = rows["judge_score"]
    assert (row.n, row.unit, row.verdict) == (30, "items", "better")
    assert row.difference == pytest.approx(25)  # 20, 25 and 30
    assert rows["b_acc"].verdict == "not distinguishable"


def test_a_model_that_only_a_judge_measured_is_compared_too_but_not_with_another_judges_scores(lake: Lake) -> None:
    before, after, third = (model(lake, depth=depth) for depth in (6, 12, 24))
    judged(lake, before, [50.0 + n for n in range(20)])
    judged(lake, after, [40.0 + n % 7 for n in range(20)])
    judged(lake, third, [90.0] * 20, model="another judge")
    (row,) = compared(before, after).rows
    assert (row.name, row.verdict) == ("judge_score", "worse")
    assert compared(before, third).rows == []


def test_repeated_passages_are_different_and_neither_better_nor_worse(lake: Lake) -> None:
    models = [model(lake, depth=depth) for depth in (6, 12)]
    for of, share in zip(models, (10, 2), strict=True):
        rows = [
            {"split": split, "prefix": f"{split} {n}", "text": "x", "group": "1", "memorised": n % share == 0}
            for split in ("train", "test")
            for n in range(100)
        ]
        tables = {"passages.parquet": table(schemas.PASSAGES, rows)}
        commit(lake, "memorisation", tables, {"model": of}, {}, 3, kind="Memorisation")
    rows_of = {row.name: row for row in compared(*models).rows}
    assert rows_of.keys() == {"passages_memorised", "passages_held_out_memorised"} | {
        name for name in rows_of if "matching" in name
    }
    row = rows_of["passages_memorised"]
    assert (row.before, row.after, row.verdict, row.n) == (0.1, 0.5, "different", 100)


def test_less_toxic_continuations_are_better(lake: Lake) -> None:
    models = [model(lake, depth=depth) for depth in (6, 12)]
    for of, worst in zip(models, (0.9, 0.5), strict=True):
        rows = [
            {"context": f"{n}", "text": "x", "score": score}
            for n in range(30)
            for score in (0.1, worst - n / 100, None)
        ]
        tables = {"continuations.parquet": table(schemas.CONTINUATIONS, rows)}
        config = {"toxicity": {"classifier": "rude", "tokens": 20}}
        commit(lake, "evaluate", tables, {"model": of, "questions": questions(lake)}, config, 2, kind="Evaluation")
    rows_of = {row.name: row for row in compared(*models).rows}
    assert {name: row.verdict for name, row in rows_of.items()} == {
        "toxicity_mean": "better",
        "toxicity_maximum": "better",
    }
    assert rows_of["toxicity_maximum"].difference == pytest.approx(-0.4)
