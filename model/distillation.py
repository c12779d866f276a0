"""Distillation: a student's loss against a teacher's distribution of the next token, of which the largest parts are
known (Hinton et al. 2015).

What the teacher gives all other tokens together is one more outcome, the rest: so the loss still is a divergence of two
distributions, and falls to 0 only where the student gives the rest as much as the teacher does.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from model.batches import Batch
from model.gpt import GPT
from model.losses import IGNORE
from model.packed import states_of

Divergence = Literal["forward", "reverse", "symmetric"]

CHUNK = 1024
"""Targets whose logits are in memory at once; they are computed again in the backward pass."""

_LEAST = 1e-6
"""Smallest share of the rest: float32 cannot tell 1 - sum from 0 below that."""


def largest(logits: Tensor, count: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Return ids and log-probabilities (…, count) of the likeliest tokens, at this temperature."""
    log_probs = (logits.float() / temperature).log_softmax(dim=-1)
    values, ids = log_probs.topk(count, dim=-1)
    return ids, values


def with_rest(log_probs: Tensor) -> Tensor:
    """Return log-probabilities (…, k + 1): those of k tokens and that of all others together."""
    rest = (1 - log_probs.exp().sum(dim=-1, keepdim=True)).clamp_min(_LEAST).log()
    return torch.cat([log_probs, rest], dim=-1)


def divergence(kind: Divergence, teacher: Tensor, student: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence (…) of log-probabilities (…, k): forward = teacher from student, which
    makes the student cover all that the teacher says; reverse = student from teacher; symmetric = the mean of both.
    """
    difference = teacher - student
    forward, reverse = (teacher.exp() * difference).sum(-1), -(student.exp() * difference).sum(-1)
    return {"forward": forward, "reverse": reverse, "symmetric": (forward + reverse) / 2}[kind]


def distillation_sums(
    model: GPT, batch: Batch, dtype: torch.dtype, kind: Divergence, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return, summed over the batch's targets, the divergence from the teacher and the cross entropy of the targets.

    `batch.facts` has the teacher's `teacher_ids` and `teacher_log_probs` (B, T, k), at this temperature.
    """
    states = states_of(model, batch)
    counted = batch.targets != IGNORE
    rows, wanted = states[counted], batch.targets[counted]
    ids, known = batch.facts["teacher_ids"][counted], batch.facts["teacher_log_probs"][counted]
    total = torch.zeros(2, device=states.device)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        given = (rows[part], model.output_weight, wanted[part], ids[part], known[part], dtype, kind, temperature)
        total = total + (checkpoint(_sums, *given, use_reentrant=False) if torch.is_grad_enabled() else _sums(*given))
    return total[0], total[1]


def _sums(
    rows: Tensor,
    weight: Tensor,
    wanted: Tensor,
    ids: Tensor,
    known: Tensor,
    dtype: torch.dtype,
    kind: Divergence,
    temperature: float,
) -> Tensor:
    logits = F.linear(rows.to(dtype), weight.to(dtype)).float()
    hard = F.cross_entropy(logits, wanted, reduction="sum")
    softened = logits if temperature == 1 else logits / temperature
    student = softened.gather(1, ids) - softened.logsumexp(dim=-1, keepdim=True)
    soft = divergence(kind, with_rest(known.float()), with_rest(student)).sum()
    return torch.stack([soft, hard])
