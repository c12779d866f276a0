"""The loss of a network with a head that names the labels of texts."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from model.batches import Batch
from model.gpt import GPT
from model.headed import Headed
from model.trainer import Loss


def label_loss(model: GPT, batch: Batch, weights: Tensor | None = None) -> Loss:
    """Return the summed cross-entropy of the texts' labels in nats, each times its label's weight, and the accuracy."""
    assert isinstance(model, Headed)
    scores, labels = model.scores(batch), batch.targets[:, 0]
    weights = None if weights is None else weights.to(scores.device)
    right = float((scores.argmax(-1) == labels).sum())
    return Loss(F.cross_entropy(scores, labels, weights, reduction="sum"), {"accuracy": (right, len(labels))})
