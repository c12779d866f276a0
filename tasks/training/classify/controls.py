"""What is known to be simple, to compare with: the most frequent label, and tf-idf with logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.training.classify.gather import Lesson


def majority(learned: Sequence[Lesson], asked: Sequence[Lesson]) -> np.ndarray:
    """Return for each text whether the most frequent label of those learned is its label."""
    most = int(np.bincount([lesson.label for lesson in learned]).argmax())
    return np.array([lesson.label == most for lesson in asked])


def tfidf(learned: Sequence[Lesson], asked: Sequence[Lesson], *, balanced: bool = False) -> np.ndarray:
    """Return for each text whether logistic regression on tf-idf of words and word pairs names its label.

    scikit-learn's defaults but for the pairs, sublinear term frequencies and C = 10: a good linear baseline. Of two or
    more labels to learn from; the model sees the same texts, whole.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    weights = "balanced" if balanced else None
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, class_weight=weights))
    model.fit([lesson.text for lesson in learned], [lesson.label for lesson in learned])
    return model.predict([lesson.text for lesson in asked]) == np.array([lesson.label for lesson in asked])
