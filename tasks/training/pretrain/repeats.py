"""Random tokens that are repeated: what a pretraining reads beside its texts, to learn to copy.

Nothing but the tokens before tells how a repetition goes on, whereas in a text much follows from grammar and knowledge.
Only the repetitions are targets, as random tokens teach nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from model.batches import Batch

SHORTEST = 8
"""Tokens of the shortest sequence that is repeated; the longest fills half of the context."""


def with_repeats(batch: Batch, count: int, tokens: np.ndarray, seed: int, step: int, rank: int, ranks: int) -> Batch:
    """Return a batch with a rank's part of `count` rows after its own; each row follows from seed, step and number.

    tokens: the ids that are drawn from.
    """
    import torch

    from model.batches import Batch

    mine = range(count * rank // ranks, count * (rank + 1) // ranks)
    if not mine:
        return batch
    rows = [repeated(np.random.default_rng([seed, step, row]), tokens, batch.inputs.shape[1]) for row in mine]
    inputs, targets = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
    documents = batch.documents
    if documents is not None:
        documents = torch.cat([documents, torch.zeros_like(inputs)])
    return Batch(torch.cat([batch.inputs, inputs]), torch.cat([batch.targets, targets]), documents=documents)


def repeated(rng: np.random.Generator, tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of `length` tokens: a random sequence again and again."""
    from model.losses import IGNORE

    period = int(rng.integers(min(SHORTEST, length // 2), length // 2 + 1))
    ids = np.resize(rng.choice(tokens, period), length + 1).astype(np.int64)
    targets = ids[1:].copy()
    targets[: period - 1] = IGNORE
    return ids[:-1], targets
