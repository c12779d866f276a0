"""A network of the stage `classify` as a filter of pages: how probable it takes one of its labels to be."""

from __future__ import annotations

from pathlib import Path

import torch

from model.labels import TextClassifier


def use_threads(number: int) -> None:
    """Compute with so many threads from now on: the processes that clean share the cores, and torch would take all."""
    torch.set_num_threads(number)


class Network:
    """One label of a classifier, loaded from its folder, on the CPU.

    The windows of a page are read together, but no two pages, so that a page that is too slow or ends its process is
    known. It costs little: with the demo's network a page's 96 tokens take 16 ms on a core, alone as well as in a batch
    of 16 (48 tokens: 10 ms and 6).
    """

    def __init__(self, folder: Path, label: str, windows: int) -> None:
        self._classifier = TextClassifier(folder, "cpu")
        self._place = self._classifier.labels.index(label)
        self._windows = windows

    def probability(self, text: str) -> float:
        """Return the probability of the label, 0 to 1: the mean over the page's windows."""
        found, _ = self._classifier.probabilities([text], self._windows)
        return float(found[0, self._place])
