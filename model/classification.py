"""Texts with labels: their token ids, their batches, the loss of a network with a head, and what it says of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from model.batches import Batch
from model.gpt import GPT
from model.headed import Headed
from model.losses import IGNORE
from model.trainer import Loss

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer


def text_ids(tokenizer: Tokenizer, text: str, limit: int) -> tuple[tuple[int, ...], bool]:
    """Return the ids of a text between its begin and end tokens, and whether its end was cut off to fit `limit`."""
    begin = (tokenizer.bos,) if tokenizer.has("bos") else ()
    end = (tokenizer.eos,) if tokenizer.has("eos") else ()
    room = limit - len(begin) - len(end)
    ids = tokenizer.encode(text)
    return (*begin, *ids[:room], *end), len(ids) > room


def labelled_batch(ids: Sequence[Sequence[int]], labels: Sequence[int], pad: int) -> Batch:
    """Put texts into one batch. The label of each stands in the first column of the targets, so a step counts texts."""
    lengths = torch.tensor([len(one) for one in ids])
    inputs = torch.full((len(ids), int(lengths.max())), pad, dtype=torch.int64)
    targets = torch.full_like(inputs, IGNORE)
    for row, one in enumerate(ids):
        inputs[row, : len(one)] = torch.tensor(one)
        targets[row, 0] = labels[row]
    return Batch(inputs, targets, lengths)


def label_loss(model: GPT, batch: Batch, weights: Tensor | None = None) -> Loss:
    """Return the summed cross-entropy of the texts' labels in nats, each times its label's weight, and the accuracy."""
    assert isinstance(model, Headed)
    scores, labels = model.scores(batch), batch.targets[:, 0]
    weights = None if weights is None else weights.to(scores.device)
    right = float((scores.argmax(-1) == labels).sum())
    return Loss(F.cross_entropy(scores, labels, weights, reduction="sum"), {"accuracy": (right, len(labels))})


def log_probabilities(model: Headed, ids: Sequence[Sequence[int]], pad: int, at_once: int = 64) -> Tensor:
    """Return the log-probability of each label for each text, float32 (texts, labels), on the CPU.

    Texts of like lengths are read together, so that little is padding.
    """
    was_training = model.training
    model.eval()
    found = torch.empty(len(ids), model.outputs)
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    with torch.inference_mode():
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            batch = labelled_batch([ids[number] for number in part], [0] * len(part), pad).to(model.device)
            found[part] = model.scores(batch).log_softmax(-1).cpu()
    model.train(was_training)
    return found
