"""One training of a network on labels, and those that only serve to compare; a restart keeps what is finished."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tokens.order import draws_of_step, shuffled
from tasks.stage import Output, local_output
from tasks.training.train import train

if TYPE_CHECKING:
    import torch

    from model.batches import Batch
    from model.config import Training
    from model.gpt import GPT
    from model.headed import Headed
    from model.objectives import Pooling
    from model.trainer import History, Loss
    from tasks.training.classify.config import ClassifyConfig
    from tasks.training.classify.gather import Lesson, Lessons


def pooling_of(config: ClassifyConfig, *, causal: bool) -> Pooling:
    """Return whose state the head reads."""
    return config.pooling or ("last" if causal else "mean")


def learn(
    config: ClassifyConfig,
    out: Output,
    base: GPT,
    lessons: Lessons,
    learned: Sequence[Lesson],
    training: Training,
    pad: int,
) -> tuple[Headed, History]:
    """Train the base's network with a new head on the texts, and return it; goes on from a checkpoint in `out.work`."""
    import torch

    from model.classification import label_loss
    from model.headed import Headed
    from model.labels import labelled_batch, log_probabilities

    model = Headed.over(base, len(lessons.labels), pooling_of(config, causal=base.config.causal), training.seed)
    model.train_only(config.trained)
    counts = np.bincount([lesson.label for lesson in learned], minlength=len(lessons.labels))
    weights = None
    if config.class_weights == "balanced":
        weights = torch.tensor(len(learned) / (len(counts) * np.maximum(counts, 1)), dtype=torch.float32)

    def batch_of(step: int) -> Batch:
        places = shuffled(draws_of_step(step, training.batch_size), len(learned), training.seed)
        chosen = [learned[place] for place in places]
        return labelled_batch([one.ids for one in chosen], [one.label for one in chosen], pad)

    def objective(network: GPT, batch: Batch, dtype: torch.dtype) -> Loss:
        return label_loss(network, batch, weights)

    def validate(network: GPT, last: bool) -> dict[str, float]:
        assert isinstance(network, Headed)
        held_out = lessons.by_split["val"]
        some = held_out if last else held_out[: training.batch_size * config.runtime.validate_batches]
        found = log_probabilities(network, [one.ids for one in some], pad)
        labels = torch.tensor([one.label for one in some])
        loss = -found.gather(1, labels[:, None]).mean()
        return {"loss": float(loss), "accuracy": float((found.argmax(1) == labels).float().mean())}

    return model, train(out, model, training, config.runtime, batch_of, validate, objective=objective)


def probabilities_of(model: Headed, asked: Sequence[Lesson], pad: int) -> np.ndarray:
    """Return the probability of each label for each text, float64."""
    from model.labels import log_probabilities

    return log_probabilities(model, [one.ids for one in asked], pad).double().softmax(1).numpy()


def beside(
    name: str,
    config: ClassifyConfig,
    out: Output,
    base: GPT,
    lessons: Lessons,
    learned: Sequence[Lesson],
    training: Training,
    pad: int,
    *,
    pretrained: bool,
) -> np.ndarray:
    """Return the probabilities, on the test texts, of a network that is trained only to compare.

    It reports nothing. What is finished is kept in `out.work`, so that a build that is started again goes on behind it.
    """
    from model.files import whole_path
    from model.gpt import GPT

    kept = out.work / f"{name}.npy"
    if not kept.exists():
        start = base if pretrained else GPT(base.config).initialise(training.seed)
        model, _ = learn(config, local_output(out.work / name), start, lessons, learned, training, pad)
        with whole_path(kept) as path, open(path, "wb") as file:
            np.save(file, probabilities_of(model, lessons.by_split["test"], pad))
        shutil.rmtree(out.work / name)
    found: np.ndarray = np.load(kept)
    return found
