"""tasks/training/classify/measures.py: accuracy, F1 and the ROC curve are scikit-learn's, calibration is Guo's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score

from tasks.training.classify.measures import difference, measure


@pytest.mark.parametrize("n_labels", [2, 4])
def test_measures_are_scikit_learns(n_labels: int) -> None:
    draw = np.random.default_rng(n_labels)
    truth = draw.integers(0, n_labels, 200)
    found = draw.dirichlet(np.ones(n_labels), 200).round(1) + 1e-9  # rounded, so that scores are tied
    found /= found.sum(1, keepdims=True)
    measures, named = measure(found, truth), found.argmax(1)
    assert measures.accuracy == pytest.approx(accuracy_score(truth, named))
    assert measures.macro_f1 == pytest.approx(f1_score(truth, named, average="macro"))
    assert measures.confusion.tolist() == confusion_matrix(truth, named).tolist()
    if n_labels == 2:
        assert measures.auc == pytest.approx(roc_auc_score(truth, found[:, 1]))
    else:
        assert measures.auc is None


def test_calibration_is_the_distance_of_confidence_and_accuracy() -> None:
    sure = np.array([[0.9, 0.1]] * 10 + [[0.4, 0.6]] * 10)
    truth = np.array([0] * 9 + [1] + [1] * 3 + [0] * 7)  # 90 % right where it says 90 %, 30 % where it says 60 %
    measures = measure(sure, truth)
    assert [(one.texts, one.accuracy) for one in measures.bins] == [(10, 0.3), (10, 0.9)]
    assert measures.ece == pytest.approx(0.15)


def test_a_paired_difference_has_the_standard_error_of_its_pairs() -> None:
    one, other = np.array([1, 1, 1, 0, 1.0]), np.array([0, 1, 1, 0, 0.0])
    found = difference(one, other)
    assert found.mean == pytest.approx(0.4)
    assert found.stderr == pytest.approx(np.std([1, 0, 0, 0, 1], ddof=1) / 5**0.5)
    assert not found.clear
    assert difference(np.ones(5), np.zeros(5)).clear
    assert not difference(np.ones(1), np.zeros(1)).clear


def test_texts_of_one_page_are_no_independent_trials() -> None:
    """Four pages of three texts each, all of a page named alike: as uncertain as four texts."""
    one, other = np.repeat([1.0, 1.0, 0.0, 1.0], 3), np.zeros(12)
    found = difference(one, other, [f"page {number // 3}" for number in range(12)])
    assert found == pytest.approx(difference(one[::3], other[::3]))
    assert found.stderr > 1.5 * difference(one, other).stderr
