"""tasks/evaluate/contaminated.py: the parts are the items of the flags, with their own standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.decontaminate.detection import DetectionConfig
from tasks.decontaminate.item import Item
from tasks.decontaminate.judge import Contamination, contamination_of
from tasks.evaluate.benchmarks import Accuracy
from tasks.evaluate.contaminated import parts_in_words, with_parts


def contamination(flags: list[bool]) -> Contamination:
    whole = np.array(flags, dtype=np.int64)
    return Contamination(np.ones_like(whole), whole, whole, np.array(flags), np.zeros(0, bool))


def accuracy(right: list[bool]) -> Accuracy:
    items = [{"item": n, "correct": value, "correct_norm": not value} for n, value in enumerate(right)]
    mean = sum(right) / len(right)
    return Accuracy(len(right), 0.25, mean, None, 1 - mean, None, items=items)


def test_each_part_has_its_own_mean_and_error() -> None:
    found = with_parts(accuracy([True, False, True, True]), contamination([False, False, True, True]))
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
    found = with_parts(accuracy([True]), contamination([False]))
    assert found["contaminated"] == {
        "n": 0, "acc": None, "acc_stderr": None, "acc_norm": None, "acc_norm_stderr": None,
    }  # fmt: skip
    assert found["clean"]["acc"] == 1.0
    assert parts_in_words(found) == ""


def test_contamination_of_several_benchmarks_from_one_reading() -> None:
    sentence = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    benchmarks = {
        "a": [Item("a", "0", "nothing of this stands anywhere at all"), Item("a", "1", sentence)],
        "b": [Item("b", "0", "short question", "its answer")],
        "c": [],
    }
    training = iter([f"so {sentence.upper()}.", "Short question? Its answer!", "short question: another answer"])
    found = contamination_of(benchmarks, training, DetectionConfig())
    assert [v.contaminated.tolist() for v in found.values()] == [[False, True], [True], []]
    assert found["a"].found.tolist() == [0, 2]
    assert found["a"].documents.tolist() == [0, 1]
    assert found["b"].fraction.tolist() == [1.0]
