"""Accuracy against the number of labels: the pretrained network, the same one untrained, and tf-idf, on equal texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tables.draws import hash_draw
from tasks.training.classify.controls import tfidf
from tasks.training.classify.measures import Difference, difference

if TYPE_CHECKING:
    from tasks.training.classify.config import LearningCurve
    from tasks.training.classify.gather import Lesson

NAMES = ("pretrained", "untrained", "tfidf")


@dataclass(frozen=True)
class Point:
    """Accuracies for a number of texts of each label: one for each draw of the texts, by what learned from them."""

    labels: int
    accuracies: dict[str, np.ndarray]

    def gain(self, over: str) -> Difference:
        """The pretrained network's gain in accuracy over another one that learned from the same texts."""
        return difference(self.accuracies["pretrained"], self.accuracies[over])

    def row(self) -> dict[str, float | int]:
        """The point as a row of a table."""
        row: dict[str, float | int] = {"labels": self.labels}
        row |= {name: float(found.mean()) for name, found in self.accuracies.items()}
        for over in NAMES[1:]:
            gain = self.gain(over)
            row |= {f"gain_over_{over}": gain.mean, f"gain_over_{over}_stderr": gain.stderr}
        return row


def drawn(learned: Sequence[Lesson], number: int, seed: int) -> list[Lesson]:
    """Return `number` texts of each label, drawn by hash; those of a smaller number are among those of a larger."""
    order = sorted(learned, key=lambda lesson: hash_draw(f"curve {seed}", lesson.text))
    taken: dict[int, int] = {}
    chosen = []
    for lesson in order:
        if taken.get(lesson.label, 0) < number:
            taken[lesson.label] = taken.get(lesson.label, 0) + 1
            chosen.append(lesson)
    return chosen


def learning_curve(
    config: LearningCurve,
    learned: Sequence[Lesson],
    asked: Sequence[Lesson],
    right: Callable[[str, int, int, Sequence[Lesson]], np.ndarray],
) -> list[Point]:
    """Return the points; `right(name, number, seed, texts)` trains a network and says which test texts it names."""
    points = []
    for number in sorted(set(config.labels)):
        found: dict[str, list[float]] = {name: [] for name in NAMES}
        for seed in range(config.seeds):
            texts = drawn(learned, number, seed)
            for name in NAMES[:2]:
                found[name].append(float(right(name, number, seed, texts).mean()))
            found["tfidf"].append(float(tfidf(texts, asked).mean()))
        points.append(Point(number, {name: np.array(values) for name, values in found.items()}))
    return points


def verdict(points: Sequence[Point], over: str) -> str:
    """Return a sentence that says whether pretraining shows its worth beside another learner."""
    clear = [point for point in points if point.gain(over).clear]
    called = {"untrained": "the same network untrained", "tfidf": "tf-idf with logistic regression"}[over]
    gains = ", ".join(f"{p.gain(over).mean:+.3f} ± {p.gain(over).stderr:.3f} at {p.labels}" for p in points)
    if not clear:
        return f"Pretraining does not show its worth over {called} at any number of labels ({gains})."
    where = ", ".join(str(point.labels) for point in clear)
    return f"Pretraining beats {called} by more than two standard errors with {where} texts of each label ({gains})."
