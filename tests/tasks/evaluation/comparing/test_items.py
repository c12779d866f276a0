"""tasks/evaluation/comparing/items.py: the same items find each other, in other orders, files and with other shots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_lake.store.lake import Lake
from tasks.evaluation.comparing.items import Sheet, shared_documents, shared_items, sheet_of
from tests.evaluations import documents, evaluation, items, model, questions


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def sheet(lake: Lake, rows: list[dict[str, Any]], asked: str = "q", texts: list[dict[str, Any]] | None = None) -> Sheet:
    made = model(lake, name=f"{asked}{len(rows)}{hash(str(rows))}{hash(str(texts))}")
    return sheet_of(evaluation(lake, made, questions(lake, asked), rows, texts or []))


def pairs(before: Sheet, after: Sheet) -> tuple[list[tuple[int, int]], int, int]:
    same = before.questions == after.questions
    found = shared_items(before.benchmarks["b"], after.benchmarks["b"], same_questions=same)
    return [*zip(found.before.tolist(), found.after.tolist(), strict=True)], found.only_before, found.only_after


def test_items_of_the_same_questions_match_by_name_where_one_model_could_not_be_asked_all(lake: Lake) -> None:
    whole, part = items("b", [True, False, True, False]), items("b", [True, False, True, False])
    del part[1]
    part[0]["context"] = "five shots\n\nanother prompt"  # other shots of the same item
    assert pairs(sheet(lake, whole), sheet(lake, part)) == ([(0, 0), (2, 1), (3, 2)], 1, 0)


def test_items_of_other_questions_match_by_what_they_ask(lake: Lake) -> None:
    before = items("b", [True] * 4)
    after = items("b", [False] * 4)[::-1]
    after[0]["context"] = "Something else?"
    for number, row in enumerate(after):
        row["item"] = number
    assert pairs(sheet(lake, before), sheet(lake, after, "other")) == ([(0, 3), (1, 2), (2, 1)], 1, 1)


def test_shots_do_not_hide_that_a_question_is_the_same_unless_it_stands_twice(lake: Lake) -> None:
    before = items("b", [True] * 4, context=["one?", "two?", "same?", "same?"], gold=[0] * 4)
    shots = [f"About b.\n\nshot? yes\n\n{row['context']}" for row in before]
    after = items("b", [True] * 4, context=shots, gold=[0] * 4)
    assert pairs(sheet(lake, before), sheet(lake, after, "other")) == ([(0, 0), (1, 1)], 2, 2)


def test_an_item_that_stands_twice_in_both_files_is_two_pairs(lake: Lake) -> None:
    before = items("b", [True, True, False], context=["one?"] * 3, gold=[0] * 3)
    after = items("b", [True, False], context=["one?"] * 2, gold=[0] * 2)
    assert pairs(sheet(lake, before), sheet(lake, after, "other")) == ([(0, 0), (1, 1)], 1, 0)


def test_the_same_question_with_another_answer_is_another_item(lake: Lake) -> None:
    before, after = (items("b", [True], gold=[gold]) for gold in (0, 1))
    assert pairs(sheet(lake, before), sheet(lake, after, "other")) == ([], 1, 1)


def test_documents_match_by_id_and_text(lake: Lake) -> None:
    before, after = documents([1.0, 2.0, 3.0]), documents([1.5, 2.5])
    after[1]["sha256"] = "changed"
    one, other = (sheet(lake, [], name, rows).documents for name, rows in (("q", before), ("p", after)))
    assert one is not None
    assert other is not None
    found = shared_documents(one, other)
    assert (found.before.tolist(), found.after.tolist(), found.only_before, found.only_after) == ([0], [0], 2, 1)
    assert (other.nats.tolist(), other.sizes.tolist()) == ([1.5, 2.5], [1000, 1000])


def test_columns_are_read_as_they_come(lake: Lake) -> None:
    """Benchmarks bring metrics of their own: shares by name, numbers by type, null where a benchmark has none."""
    rows = items("b", [True, False], correct_bytes=[False, True], score=[0.25, None], subject=["x", "y"])
    rows += items("generated", [None, None], correct_bytes=[None, None], score=[1.0, 0.0], subject=["", ""])
    found = sheet(lake, rows).benchmarks
    assert set(found["b"].metrics) == {"acc", "acc_norm", "acc_bytes", "score"}
    assert found["b"].metrics["acc_bytes"].tolist() == [0.0, 1.0]
    assert set(found["generated"].metrics) == {"score"}
    assert found["b"].groups["subject"] == ["x", "y"]
    assert found["b"].shares == {"acc", "acc_norm", "acc_bytes"}
