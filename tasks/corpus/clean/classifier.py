"""A linear classifier of texts on hashed word n-grams, trained from labelled examples while clean runs.

It is logistic regression, as in fastText's supervised mode but without embeddings (Joulin et al. 2016,
arXiv:1607.01759). The features are the presence of word 1- to n-grams, hashed into buckets (Weinberger et al. 2009,
"Feature hashing"); each text is scaled to unit length; training is averaged stochastic gradient descent (Bottou 2010).
DCLM's quality filter is such a model (Li et al. 2024, arXiv:2406.11794 § 4.4), and so are Dolma's toxicity filters. The
same examples give the same weights, bit for bit: the words come from data_lake.text.units, the order of the examples
from their hashes, and a single thread does the sums.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.clean.filter_config import ClassifierConfig
from tasks.corpus.clean.linear import Classifier, features_of
from tasks.corpus.clean.user_files import files
from tasks.stage import PermanentError


@dataclass(frozen=True)
class Example:
    """A labelled text."""

    text: str
    positive: bool


def examples_of(config: ClassifierConfig) -> list[Example]:
    """Return the examples that a config names, without duplicate texts, in an order that depends only on the texts.

    Raises PermanentError if a file cannot be read or a class has fewer than two examples.
    """
    field = f"clean.filters.classifiers.{config.name}"
    found: dict[bytes, Example] = {}
    sources: list[tuple[Path, bool | None]] = [(path, None) for path in files(config.labelled, f"{field}.labelled")]
    sources += [(path, True) for path in files(config.positive, f"{field}.positive")]
    sources += [(path, False) for path in files(config.negative, f"{field}.negative")]
    for path, label in sources:
        for text, own in _texts(path, config, label is None):
            if text.strip():
                example = Example(text, own if label is None else label)
                found.setdefault(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), example)
    ordered = [example for _, example in sorted(found.items(), key=lambda item: item[0])]
    positive = sum(example.positive for example in ordered)
    if min(positive, len(ordered) - positive) < 2:
        raise PermanentError(
            f"{field} has {positive} positive and {len(ordered) - positive} negative examples; it needs two of each "
            f"(labels that count as positive: {', '.join(config.positive_labels)})."
        )
    return ordered


def _texts(path: Path, config: ClassifierConfig, labelled: bool) -> Iterator[tuple[str, bool]]:
    """Yield (text, label) for each example in a file; a file that is not jsonl is a single text."""
    if path.suffix not in {".jsonl", ".ndjson"}:
        if labelled:
            raise PermanentError(
                f"{path} is not a .jsonl file, so it cannot have labels; name it as positive or negative."
            )
        yield path.read_text("utf-8", "replace"), False
        return
    with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text = row[config.text_field]
                label = str(row[config.label_field]).lower() if labelled else ""
            except (ValueError, KeyError, TypeError) as error:
                raise PermanentError(
                    f"{path}:{number} is not a JSON object with the fields {config.text_field} and {config.label_field}"
                    f" ({type(error).__name__}: {error})."
                ) from error
            yield str(text), label in {positive.lower() for positive in config.positive_labels}


def train(config: ClassifierConfig) -> tuple[Classifier, dict[str, float]]:
    """Train a classifier; return it with its precision, recall and AUC on held-out examples.

    The share `held_out` of each class is held out. Precision and recall are measured at the config's removal threshold,
    or at 0.5 if it names none.
    """
    examples = examples_of(config)
    held_out, kept = _split(examples, config.held_out)
    indices, offsets = _matrix(kept, config)
    labels = np.array([example.positive for example in kept], dtype=np.float64)
    weights, bias = _fit()(indices, offsets, labels, config.buckets, config.epochs, config.learning_rate, config.l2)
    classifier = Classifier(weights, float(bias), ngram=config.ngram, max_words=config.max_words)
    scores = np.array([classifier.probability(example.text) for example in held_out])
    truth = np.array([example.positive for example in held_out])
    threshold = config.remove_above if config.remove_above is not None else config.remove_below
    return classifier, measure(scores, truth, 0.5 if threshold is None else threshold)


def measure(scores: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    """Return precision and recall of `scores >= threshold`, and the area under the ROC curve (ties count half)."""
    said = scores >= threshold
    right = int((said & truth).sum())
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.repeat(first + (counts + 1) / 2, counts)  # mean rank of equal scores, from 1
    positive, negative = int(truth.sum()), int((~truth).sum())
    area = (ranks[truth[order]].sum() - positive * (positive + 1) / 2) / max(1, positive * negative)
    return {
        "precision": right / max(1, int(said.sum())),
        "recall": right / max(1, positive),
        "auc": float(area),
        "examples": float(len(truth)),
    }


def _split(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Return (held out, kept): the same share of both classes is held out, and at least one example of each."""
    held_out: list[Example] = []
    kept: list[Example] = []
    for positive in (True, False):
        of_class = [example for example in examples if example.positive is positive]
        count = min(len(of_class) - 1, max(1, round(share * len(of_class))))
        held_out += of_class[:count]
        kept += of_class[count:]
    # back in the order of their hashes, so that the classes are mixed
    place = {id(example): number for number, example in enumerate(examples)}
    return held_out, sorted(kept, key=lambda example: place[id(example)])


def _matrix(examples: Sequence[Example], config: ClassifierConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the concatenated features of all examples, and the offset at which those of each example begin."""
    rows = [features_of(example.text, config.ngram, config.max_words, config.buckets) for example in examples]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return np.concatenate(rows), offsets


@functools.cache
def _fit() -> Callable[..., Any]:
    """Return the compiled training loop: (indices, offsets, labels, buckets, epochs, rate, l2) -> (weights, bias)."""
    from data_lake.text.compiled import compiled

    @compiled
    def fit(indices, offsets, labels, buckets, epochs, rate, l2):  # type: ignore[no-untyped-def]
        weights = np.zeros(buckets, np.float64)
        total = np.zeros(buckets, np.float64)  # sum of each update times its step, needed for the average
        bias = 0.0
        total_bias = 0.0
        positives = labels.sum()
        # both classes have the same total weight, however many examples each has
        of_positive = len(labels) / (2.0 * positives)
        of_negative = len(labels) / (2.0 * (len(labels) - positives))
        step = 0
        steps = epochs * len(labels)
        for _ in range(epochs):
            for row in range(len(labels)):
                first, last = offsets[row], offsets[row + 1]
                scale = 1.0 / np.sqrt(max(1, last - first))
                score = bias
                for k in range(first, last):
                    score += weights[indices[k]] * scale
                probability = 1.0 / (1.0 + np.exp(-score))
                weight = of_positive if labels[row] > 0.5 else of_negative
                pace = rate * (1.0 - step / steps) * weight
                error = labels[row] - probability
                for k in range(first, last):
                    change = pace * (error * scale - l2 * weights[indices[k]])
                    weights[indices[k]] += change
                    total[indices[k]] += change * step
                bias += pace * error
                total_bias += pace * error * step
                step += 1
        average = weights - total / max(1, step)
        return average.astype(np.float32), bias - total_bias / max(1, step)

    return fit
