"""Asking a trained classifier: the label of a text and how probable the network takes it to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Labelled:
    """A text, its most probable label, the probability of each label, and whether only its beginning was read."""

    text: str
    label: str
    probability: float
    probabilities: dict[str, float]
    cut: bool


class Labeller:
    """A classifier, loaded from its folder. ValueError if the folder is not one."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        from model.labels import TextClassifier

        self._classifier = TextClassifier(folder, device)

    def label(self, texts: Sequence[str]) -> list[Labelled]:
        """Return what each text is taken for."""
        found, cuts = self._classifier.probabilities(texts)
        made = []
        for text, row, cut in zip(texts, found.tolist(), cuts, strict=True):
            probabilities = dict(zip(self._classifier.labels, row, strict=True))
            best = max(probabilities, key=lambda label: probabilities[label])
            made.append(Labelled(text, best, probabilities[best], probabilities, cut))
        return made
