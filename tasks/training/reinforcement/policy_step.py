"""A (micro-)batch of answers in the network that learns: the losses of its tokens, and what is reported of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.reinforcement.rollouts import reported

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from model.batches import Batch
    from model.gpt import GPT
    from model.trainer import Measures


@dataclass(frozen=True)
class PolicyStep:
    """Of each target (B, T): the clipped loss, the KL to the base, and whether it counts; the states (B, T, C)."""

    losses: Tensor
    kl: Tensor
    counted: Tensor
    states: Tensor
    measures: Measures


def policy_step(config: ReinforcementConfig, model: GPT, batch: Batch, dtype: torch.dtype, high: float) -> PolicyStep:
    """Compare the model with the one that drew the answers; `high` is the clip of tokens that become likelier."""
    from model.log_probs import policy_tokens
    from model.losses import IGNORE
    from model.policy import clipped_losses, kl_estimates

    tokens = policy_tokens(model, batch, dtype, config.temperature)
    facts, counted = batch.facts, batch.targets != IGNORE
    losses, stopped = clipped_losses(tokens.log_probs, facts["old"], facts["advantages"], config.clip, high)
    kl = kl_estimates(tokens.log_probs, facts["reference"])
    numbers = {"kl": kl, "entropy": tokens.entropy, "clip_share": stopped}
    measures = {name: mean_of(values, counted) for name, values in numbers.items()}
    return PolicyStep(losses, kl, counted, tokens.states, {**measures, **reported(batch)})


def mean_of(values: Tensor, counted: Tensor) -> tuple[float, float]:
    """Return the sum of the values that count, and how many these are."""
    return float((values.detach() * counted).sum()), int(counted.sum())
