"""tasks/evaluation/evaluate/contaminated.py: the parts are the items of the flags, with their own standard errors."""

from __future__ import annotations

import math

import pytest

from tasks.evaluation.evaluate.benchmarks import Accuracy
from tasks.evaluation.evaluate.contaminated import parts_in_words, with_parts
from tasks.synthetic.questions.files import Seen


def seen(flags: list[bool]) -> Seen:
    return Seen(flags, [float(flag) for flag in flags])


def accuracy(right: list[bool]) -> Accuracy:
    items = [{"item": n, "correct": value, "correct_norm": not value} for n, value in enumerate(right)]
    mean = sum(right) / len(right)
    return Accuracy(len(right), 0.25, mean, None, 1 - mean, None, items=items)


def test_each_part_has_its_own_mean_and_error() -> None:
    found = with_parts(accuracy([True, False, True, True]), seen([False, False, True, True]))
    assert found["n"] == 4
    assert found["acc"] == 0.75
    assert found["clean"] == {
        "n": 2,
        "acc": 0.5,
        "acc_stderr": pytest.approx(math.sqrt(0.5 / 2)),
        "acc_norm": 0.5,
        "acc_norm_stderr": pytest.approx(math.sqrt(0.5 / 2)),
    }
    assert found["contaminated"]["acc"] == 1.0
    assert found["contaminated"]["acc_norm"] == 0.0
    assert parts_in_words(found) == " (clean 0.500 ± 0.500 of 2, contaminated 0.000 of 2)"


def test_a_part_without_items_has_no_number() -> None:
    found = with_parts(accuracy([True]), seen([False]))
    assert found["contaminated"] == {
        "n": 0, "acc": None, "acc_stderr": None, "acc_norm": None, "acc_norm_stderr": None,
    }  # fmt: skip
    assert found["clean"]["acc"] == 1.0
    assert parts_in_words(found) == ""
