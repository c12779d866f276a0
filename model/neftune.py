"""NEFTune: noise on the embedded tokens in training, against learning answers by heart (Jain et al. 2023).

Each number of a row of T embedded tokens, C wide, gets a uniform draw from ±alpha / √(T·C), as in transformers and trl.
The draws follow from the row's seed alone, so a resumed run and one with other micro-batches have the same noise.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from model.batches import Batch
from model.gpt import GPT
from model.trainer import Loss, Objective, next_token_loss

SEEDS = "neftune_seeds"
"""The fact of a batch that holds the seed of each row's noise."""


def seeded(batch: Batch, seed: int, step: int) -> Batch:
    """Return the batch with the seeds of its rows' noise in a step."""
    drawn = np.random.SeedSequence([seed, step]).generate_state(len(batch.inputs), np.uint64) >> np.uint64(1)
    return replace(batch, facts={**batch.facts, SEEDS: torch.from_numpy(drawn.astype(np.int64))})


def with_noise(alpha: float, objective: Objective = next_token_loss) -> Objective:
    """Return the objective with noise on the embedded tokens; batches need `seeded`."""

    def noisy(model: GPT, batch: Batch, dtype: torch.dtype) -> Tensor | Loss:
        with _noise(model, noise_of(batch, model.config.d_model, alpha)):
            return objective(model, batch, dtype)

    return noisy


def noise_of(batch: Batch, width: int, alpha: float) -> Tensor:
    """Return the noise (B, T, width) of a batch."""
    rows, length = batch.inputs.shape
    most = alpha / math.sqrt(length * width)
    drawn = torch.empty(rows, length, width)
    for row, seed in zip(drawn, batch.facts[SEEDS].tolist(), strict=True):
        row.uniform_(-most, most, generator=torch.Generator().manual_seed(seed))
    return drawn.to(batch.inputs.device)


@contextlib.contextmanager
def _noise(model: GPT, noise: Tensor) -> Iterator[None]:
    """Add noise to what the embedding returns."""
    hook = model.embed_tokens.register_forward_hook(lambda _module, _given, embedded: embedded + noise)
    try:
        yield
    finally:
        hook.remove()
