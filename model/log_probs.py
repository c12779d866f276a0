"""Log-probabilities of given tokens, with gradients: what losses over preferences and rewards are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from model.batches import Batch
from model.gpt import GPT
from model.losses import IGNORE
from model.packed import states_of

CHUNK = 1024
"""Targets whose logits are in memory at once; they are computed again in the backward pass."""


def token_log_probs(model: GPT, batch: Batch, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return the log-probability of each target (B, T) in float32; 0 where there is none.

    Only positions with a target are projected onto the vocabulary, `CHUNK` at a time, with products in `dtype` and the
    softmax in float32.
    """
    states = states_of(model, batch)
    counted = batch.targets != IGNORE
    rows, wanted = states[counted], batch.targets[counted]
    weight = model.output_weight
    parts = []
    for start in range(0, len(rows), CHUNK):
        arguments = (rows[start : start + CHUNK], weight, wanted[start : start + CHUNK], dtype)
        recompute = torch.is_grad_enabled()
        parts.append(checkpoint(_picked, *arguments, use_reentrant=False) if recompute else _picked(*arguments))
    found = torch.zeros(batch.targets.shape, dtype=torch.float32, device=states.device)
    return found.masked_scatter(counted, torch.cat(parts)) if parts else found


@torch.inference_mode()
def answer_log_probs(model: GPT, batch: Batch) -> Tensor:
    """Return the log-probability of each row's targets together (B) in float32, without gradients or dropout."""
    was_training = model.training
    model.eval()
    sums = token_log_probs(model, batch).sum(dim=1)
    model.train(was_training)
    return sums


@dataclass(frozen=True)
class PolicyTokens:
    """Of each target (B, T), 0 where there is none: log-probability and entropy of its place; and the states (B, T, C).

    Only the log-probabilities and the states have gradients.
    """

    log_probs: Tensor
    entropy: Tensor
    states: Tensor


def policy_tokens(
    model: GPT, batch: Batch, dtype: torch.dtype = torch.float32, temperature: float = 1.0
) -> PolicyTokens:
    """Return what a policy gradient needs of each target, under the distribution that tokens are drawn from."""
    states = states_of(model, batch)
    counted = batch.targets != IGNORE
    rows, wanted = states[counted], batch.targets[counted]
    parts: list[Tensor] = []
    for start in range(0, len(rows), CHUNK):
        arguments = (rows[start : start + CHUNK], model.output_weight, wanted[start : start + CHUNK], dtype)
        given = (*arguments, temperature)
        recompute = torch.is_grad_enabled()
        parts.append(checkpoint(_surprise, *given, use_reentrant=False) if recompute else _surprise(*given))
    found = torch.zeros((2, *batch.targets.shape), dtype=torch.float32, device=states.device)
    if parts:
        both = torch.cat(parts, dim=1)
        found = torch.stack([place.masked_scatter(counted, part) for place, part in zip(found, both, strict=True)])
    return PolicyTokens(found[0], found[1].detach(), states)


def _surprise(rows: Tensor, weight: Tensor, wanted: Tensor, dtype: torch.dtype, temperature: float) -> Tensor:
    log_probs = (F.linear(rows.to(dtype), weight.to(dtype)).float() / temperature).log_softmax(dim=-1)
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(-1)
    return torch.stack([log_probs.gather(1, wanted[:, None])[:, 0], entropy])


def _picked(rows: Tensor, weight: Tensor, wanted: Tensor, dtype: torch.dtype) -> Tensor:
    logits = F.linear(rows.to(dtype), weight.to(dtype)).float()
    return logits.log_softmax(dim=-1).gather(1, wanted[:, None])[:, 0]
