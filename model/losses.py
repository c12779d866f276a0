"""Losses: summed cross entropy over real tokens, and its conversion to bits per byte.

Losses are sums, not means: a training step divides once, by the valid tokens of the whole step, so that splitting a
batch into micro-batches of unequal length does not change the gradient (a mean of means would change it).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -100
"""Target value of a position that is not counted: padding (by length) or part of a prompt."""

CHUNK = 512
"""Rows of logits in memory at once: 512 × 4,096 float32 are 8 MB and stay in cache (whole batches are memory-bound)."""


def cross_entropy_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the summed negative log-likelihood in nats of `targets` (…) under `logits` (…, V), without IGNORE."""
    return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="sum")


def linear_cross_entropy_sum(hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `cross_entropy_sum(hidden @ weight.T, targets)` without ever holding all logits in memory.

    hidden (…, C), weight (V, C), targets (…); products in `dtype`, softmax in float32. Positions with target IGNORE are
    never projected. The gradients are computed in the forward pass, chunk by chunk, with one exponential per logit, as
    in Liger's fused linear cross entropy (Hsu et al. 2024).
    """
    return _LinearCrossEntropy.apply(hidden, weight, targets, dtype, torch.is_grad_enabled())


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, needs_grad: bool
    ) -> Tensor:
        flat, goal = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
        valid = (goal != IGNORE).nonzero(as_tuple=True)[0]
        whole = len(valid) == len(goal)
        rows, goal = (flat, goal) if whole else (flat[valid], goal[valid])
        rows, matrix = rows.to(dtype), weight.to(dtype)
        if needs_grad:
            grad_rows = torch.empty_like(rows)
            grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for start in range(0, len(rows), CHUNK):
            part, wanted = rows[start : start + CHUNK], goal[start : start + CHUNK, None]
            logits = (part @ matrix.T).float()
            logits -= logits.amax(dim=1, keepdim=True)
            picked = logits.gather(1, wanted)
            mass = logits.exp_().sum(dim=1, keepdim=True)
            total += (mass.log() - picked).sum(dtype=torch.float64)
            if needs_grad:  # d loss / d logits = softmax - one-hot
                slope = logits.div_(mass).scatter_add_(1, wanted, torch.full_like(picked, -1.0)).to(dtype)
                grad_rows[start : start + CHUNK] = slope @ matrix
                grad_weight += (slope.T @ part).float()
        if needs_grad:
            grad_flat = grad_rows.to(hidden.dtype)
            if not whole:
                grad_flat = torch.zeros_like(flat).index_copy_(0, valid, grad_flat)
            ctx.save_for_backward(grad_flat.view_as(hidden), grad_weight.to(weight.dtype))
        return total.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None, None, None


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Convert a summed loss to bits per byte of text, which is comparable across tokenizers and with compressors."""
    if n_bytes <= 0:
        raise ValueError(f"Bits per byte of {n_bytes} bytes of text do not exist; the text is empty.")
    return nats / (math.log(2) * n_bytes)
