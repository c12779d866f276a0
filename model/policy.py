"""Losses of reinforcement learning over sampled answers: GRPO and its relatives, and PPO with a value for each token.

All take numbers per token (B, T), of which only the `counted` ones matter: the tokens of an answer, its end included.
Sums are returned, not means: the trainer divides by `divisor`, so that micro-batches do not change the gradient.
GRPO's equal trl 1.16 (tests/parity).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

PolicyLoss = Literal["grpo", "dr_grpo", "dapo"]
"""How tokens are weighed: each answer alike, each token by a constant, each token alike."""

EPSILON = 1e-4
"""Added to a group's standard deviation, as trl does."""


def group_advantages(rewards: Tensor, group: int, *, scaled: bool = True) -> Tensor:
    """Return how much better each answer (B) is than its group, `group` answers to one prompt one after the other.

    (r - mean) / (std + 1e-4) (Shao et al. 2024); not `scaled` = r - mean (Liu et al. 2025, Dr. GRPO).
    """
    grouped = rewards.view(-1, group)
    centred = grouped - grouped.mean(1, keepdim=True)
    if scaled and group > 1:
        centred = centred / (grouped.std(1, keepdim=True) + EPSILON)
    return centred.view(-1)


def clipped_losses(policy: Tensor, old: Tensor, advantages: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return -min(ratio A, clip(ratio, 1 - low, 1 + high) A) of each token, and whether clipping stopped its gradient.

    ratio = exp(policy - old), from log-probabilities now and when the answer was drawn (Schulman et al. 2017); `high`
    above `low` leaves rare tokens more room (Yu et al. 2025, DAPO). advantages: (B, 1) or (B, T).
    """
    ratio = (policy - old).exp()
    losses = -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)
    stopped = ((ratio < 1 - low) & (advantages < 0)) | ((ratio > 1 + high) & (advantages > 0))
    return losses, stopped


def kl_estimates(policy: Tensor, reference: Tensor) -> Tensor:
    """Return exp(d) - d - 1, d = reference - policy, of each token: an estimate of KL(policy ‖ reference) that is never
    negative (Schulman 2020, k3)."""
    difference = reference - policy
    return difference.exp() - difference - 1


def weighed_sum(kind: PolicyLoss, losses: Tensor, counted: Tensor) -> Tensor:
    """Return the sum of the tokens' losses, for grpo each divided by the tokens of its answer."""
    losses = losses * counted
    return (losses.sum(1) / counted.sum(1).clamp_min(1)).sum() if kind == "grpo" else losses.sum()


def divisor(kind: PolicyLoss, answers: int, tokens: int, longest: int) -> int:
    """Return what the sum of a whole step is divided by; `longest` is the largest number of tokens of an answer."""
    return {"grpo": answers, "dr_grpo": answers * longest, "dapo": tokens}[kind]


def token_rewards(scores: Tensor, policy: Tensor, reference: Tensor, counted: Tensor, kl_weight: float) -> Tensor:
    """Return PPO's reward of each token: -kl_weight (policy - reference), and at an answer's last one its score (B)."""
    rewards = -kl_weight * (policy - reference) * counted
    places = torch.arange(counted.shape[1], device=counted.device)
    last = (places * counted).argmax(1, keepdim=True)
    return rewards.scatter_add(1, last, scores[:, None])


def generalised_advantages(
    rewards: Tensor, values: Tensor, counted: Tensor, gamma: float, decay: float
) -> tuple[Tensor, Tensor]:
    """Return advantages and returns of each token (Schulman et al. 2016), 0 where none counts.

    A_t = Σ (gamma decay)^k δ_(t+k), δ_t = r_t + gamma V_(t+1) - V_t; behind an answer's last token, V = 0. The returns
    are A + V. An answer's tokens stand one after the other.
    """
    advantages = torch.zeros_like(values)
    carried = following = torch.zeros_like(values[:, 0])
    for place in reversed(range(values.shape[1])):
        here = counted[:, place]
        delta = rewards[:, place] + gamma * following - values[:, place]
        carried = torch.where(here, delta + gamma * decay * carried, 0.0)
        following = torch.where(here, values[:, place], 0.0)
        advantages[:, place] = carried
    return advantages, (advantages + values) * counted


def whitened(values: Tensor, counted: Tensor) -> Tensor:
    """Return the counted values with mean 0 and variance 1 (that of a sample), all others 0."""
    chosen = values[counted]
    spread = chosen.var() if chosen.numel() > 1 else torch.ones_like(chosen.sum())
    return (values - chosen.mean()) * torch.rsqrt(spread + 1e-8) * counted


def clipped_value_losses(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Return ½ max((V - R)², (V clipped to old ± clip - R)²) of each token, as in OpenAI's baselines."""
    near = torch.clamp(values, old - clip, old + clip)
    return 0.5 * torch.maximum((values - returns) ** 2, (near - returns) ** 2)


def explained_variance(values: Tensor, returns: Tensor, counted: Tensor) -> Tensor:
    """Return 1 - Var(R - V) / Var(R) over the tokens that count: 1 = all is foretold, 0 = no more than the mean.

    Where all returns are the same, there is nothing to foretell: 0.
    """
    left, whole = ((numbers)[counted].var(correction=0) for numbers in (returns - values, returns))
    return torch.where(whole > 0, 1 - left / whole, torch.zeros_like(whole))
