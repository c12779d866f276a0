"""The work of a build: the quantities its seconds and bytes are proportional to, for the price that a plan shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from model.config import Training
from model.shape import GPTShape

SHAPES_NO_RESULT = "measures what there is to do, and changes nothing of it"

Sizes = Mapping[str, float]
"""Role → bytes of the input artifact; roles whose artifact is not known are missing."""


class Work(NamedTuple):
    """Two numbers in any unit: a build with twice the first takes twice the seconds; with twice the second it makes
    twice the bytes."""

    seconds: float
    bytes: float


def reading(sizes: Sizes) -> Work:
    """The work of a stage that reads all of its inputs once, as most stages do."""
    read = sum(sizes.values())
    return Work(read, read)


class _Pretraining(Protocol):
    @property
    def model(self) -> GPTShape: ...
    @property
    def training(self) -> Training: ...


class _FineTuning(Protocol):
    @property
    def training(self) -> Training: ...


class _Crawl(Protocol):
    @property
    def max_pages(self) -> int: ...
    @property
    def all_seeds(self) -> tuple[str, ...]: ...


def pretraining(config: _Pretraining, sizes: Sizes) -> Work:
    """Seconds: tokens × weights; bytes: weights. The weights of the vocabulary are not known here."""
    shape, training = config.model, config.training
    if "base" in sizes:  # it goes on from a model, whose shape is not in the config
        return Work(training.steps * training.batch_size * sizes["base"], sizes["base"])
    attention = shape.d_model * shape.head_dim * 2 * (shape.n_head + shape.n_kv_head)
    weights = shape.n_layer * (attention + 3 * shape.d_model * shape.d_ff)
    return Work(training.steps * training.batch_size * shape.max_seq_len * weights, weights)


def fine_tuning(config: _FineTuning, sizes: Sizes) -> Work:
    """Seconds: examples × the size of the model; bytes: that size, because fine-tuning does not change it."""
    return Work(config.training.steps * config.training.batch_size * sizes["base"], sizes["base"])


def crawling(config: _Crawl, sizes: Sizes) -> Work:
    """The maximum number of pages, because the real number is known only afterwards; 1 if only files are read."""
    pages = config.max_pages if config.all_seeds else 1
    return Work(pages, pages)


def reading_with_model(config: object, sizes: Sizes) -> Work:
    """Seconds: the size of the model, as it is asked a fixed number of times; bytes: the same for all."""
    return Work(sizes["model"], 1)


def asking(config: object, sizes: Sizes) -> Work:
    """Seconds: questions × the size of the model that answers; bytes: the size of the questions."""
    return Work(sizes["questions"] * sizes["model"], sizes["questions"])
