"""A linear classifier of texts on hashed word n-grams: what clean trains, and what scores a model's texts as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_lake.store.files import whole_file
from data_lake.text.folding import fold
from data_lake.text.units import shingle_hashes, word_hashes

FOLDER = "classifiers"
"""The folder of clean's artifact that holds the trained classifiers, as <name>.safetensors."""


def classifier_file(artifact: Path, name: str) -> Path:
    """Return where an artifact of clean holds a classifier."""
    return artifact / FOLDER / f"{name}.safetensors"


class Classifier:
    """Weights of one classifier; `probability` says how likely a text is positive."""

    def __init__(self, weights: np.ndarray, bias: float, *, ngram: int, max_words: int) -> None:
        self.weights, self.bias = weights, bias
        self.ngram, self.max_words = ngram, max_words

    def probability(self, text: str) -> float:
        """Return the probability of the positive class, 0 to 1; for an empty text it depends on the bias alone."""
        features = features_of(text, self.ngram, self.max_words, len(self.weights))
        score = self.bias
        if len(features):
            # float64 in a fixed order: the same on every machine with the same numpy
            score += float(self.weights[features].astype(np.float64).sum()) / float(np.sqrt(len(features)))
        return float(1.0 / (1.0 + np.exp(-np.clip(score, -60.0, 60.0))))

    def save(self, path: Path) -> None:
        """Write the weights as safetensors, atomically."""
        from safetensors.numpy import save

        # the settings are stored as a tensor, because the order in which the format writes metadata is not stable
        tensors: dict[str, np.ndarray] = {
            "weights": self.weights.astype(np.float32),
            "bias": np.array([self.bias]),
            "ngram_and_max_words": np.array([self.ngram, self.max_words]),
        }
        with whole_file(path) as file:
            file.write(save(tensors))

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """Read what `save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(path)
        ngram, max_words = tensors["ngram_and_max_words"].tolist()
        return cls(tensors["weights"], float(tensors["bias"][0]), ngram=ngram, max_words=max_words)


def features_of(text: str, ngram: int, max_words: int, buckets: int) -> np.ndarray:
    """Return the distinct buckets of a text's word 1- to n-grams, sorted: int64."""
    # only words at the beginning are used; the mean word of any language has fewer than ten characters
    hashes, _ = word_hashes([fold(text[: max_words * 20])])
    hashes = hashes[:max_words]
    offsets = np.array([0, len(hashes)])
    runs = [hashes]
    runs += [shingle_hashes(hashes, offsets, n)[0] for n in range(2, min(ngram, len(hashes)) + 1)]
    return np.unique(np.concatenate(runs) % np.uint64(buckets)).astype(np.int64)
