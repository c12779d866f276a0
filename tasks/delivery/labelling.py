"""Asking a trained classifier: the label of a text and how probable the network takes it to be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.tokenizer import Tokenizer


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
        from model.folder import load_headed
        from model.hardware import choose_device

        self._model, _ = load_headed(folder, choose_device(device))
        self._tokenizer = Tokenizer.load(folder / "tokenizer")
        described = json.loads((folder / "labels.json").read_text("utf-8"))
        self.labels: list[str] = described["labels"]
        context = self._model.config.max_seq_len
        self._limit = min(context, described["max_tokens"] or context)

    def label(self, texts: Sequence[str]) -> list[Labelled]:
        """Return what each text is taken for."""
        from model.classification import log_probabilities, text_ids

        read = [text_ids(self._tokenizer, text, self._limit) for text in texts]
        found = log_probabilities(self._model, [ids for ids, _ in read], 0).exp().tolist()
        made = []
        for text, row, (_, cut) in zip(texts, found, read, strict=True):
            probabilities = dict(zip(self.labels, row, strict=True))
            best = max(probabilities, key=lambda label: probabilities[label])
            made.append(Labelled(text, best, probabilities[best], probabilities, cut))
        return made
