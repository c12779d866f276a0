"""Validation: the mean loss of held-out batches, in nats per token and in bits per byte of text."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from model.batches import Batch
from model.gpt import GPT
from model.losses import bits_per_byte, cross_entropy_sum
from model.packed import states_of

_LONGEST = 700.0
"""For more nats per token than this, exp overflows a float."""


def validation_loss(model: GPT, batches: Iterable[Batch], token_bytes: np.ndarray) -> dict[str, float]:
    """Return loss (nats per token), perplexity and bits_per_byte of the batches' targets.

    `token_bytes` gives the bytes of text of each id (int[V], 0 for special tokens). Targets without text, which are the
    special ones, count neither as tokens nor as nats: predicting where a document ends is not a property of the text,
    and a compressor does not encode it either (nanochat's convention).
    """
    sizes = torch.from_numpy(np.ascontiguousarray(token_bytes)).to(model.device, torch.int64)
    nats, n_tokens, n_bytes = 0.0, 0, 0
    with torch.inference_mode():
        for batch in batches:
            here = batch.to(model.device)
            counts = (here.targets >= 0) & (sizes[here.targets.clamp_min(0)] > 0)
            targets = here.targets[counts]
            hidden = states_of(model, here)[counts]
            for start in range(0, len(targets), 4096):  # the logits of all positions would not fit for a big vocabulary
                part = slice(start, start + 4096)
                nats += cross_entropy_sum(model.logits(hidden[part]), targets[part]).item()
            n_tokens += len(targets)
            n_bytes += int(sizes[targets].sum())
    if n_tokens == 0:
        raise ValueError("There is no target to validate on; the validation split is empty or too short.")
    loss = nats / n_tokens
    return {"loss": loss, "perplexity": math.exp(min(loss, _LONGEST)), "bits_per_byte": bits_per_byte(nats, n_bytes)}
