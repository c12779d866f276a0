"""Losses over pairs of a preferred and a rejected answer: DPO and its relatives, and the reward model's.

All take sums of log-probabilities over the tokens of an answer, its end token included, one number per pair (P), and
return one loss per pair. Equal to trl 1.16 (tests/parity).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.objectives import PreferenceLoss

ALSO_LIKELIHOOD: frozenset[str] = frozenset({"orpo", "cpo"})
"""Losses to which the negative log-likelihood of the chosen answers is added, as a mean over their tokens."""


@dataclass(frozen=True)
class Answers:
    """One answer of each pair: log-probabilities (P) under the model and the reference, and numbers of tokens (P)."""

    policy: Tensor
    reference: Tensor
    tokens: Tensor

    @property
    def ratio(self) -> Tensor:
        """Log of how much likelier the answer became."""
        return self.policy - self.reference

    @property
    def per_token(self) -> Tensor:
        """Mean log-probability of a token."""
        return self.policy / self.tokens


def preference_losses(
    kind: PreferenceLoss,
    chosen: Answers,
    rejected: Answers,
    *,
    beta: float = 0.1,
    margin: float = 0.5,
    label_smoothing: float = 0.0,
    drift: Tensor | float = 0.0,
) -> Tensor:
    """Return the loss of each pair (P).

    dpo: -log σ(β (ratio_c - ratio_r)) (Rafailov et al. 2023); `label_smoothing` is the share of pairs that may be the
    wrong way round (Mitchell 2023), for dpo, simpo and cpo. ipo: (difference of the ratios per token - 1 / 2β)² (Azar
    et al. 2023). kto: 1 - σ(β (ratio_c - drift)) + 1 - σ(β (drift - ratio_r)), where `drift` estimates the KL to the
    reference (Ethayarajh et al. 2024). orpo: -β log σ of the log odds ratio per token (Hong et al. 2024). simpo: -log
    σ(β (per token, c - r) - margin) (Meng et al. 2024). cpo: dpo without a reference (Xu et al. 2024).
    """
    if kind == "dpo":
        return _smoothed(beta * (chosen.ratio - rejected.ratio), label_smoothing)
    if kind == "ipo":
        return (chosen.ratio / chosen.tokens - rejected.ratio / rejected.tokens - 1 / (2 * beta)) ** 2
    if kind == "kto":
        return 2 - torch.sigmoid(beta * (chosen.ratio - drift)) - torch.sigmoid(beta * (drift - rejected.ratio))
    if kind == "orpo":
        odds = chosen.per_token - rejected.per_token - _log1mexp(chosen.per_token) + _log1mexp(rejected.per_token)
        return -beta * F.logsigmoid(odds)
    if kind == "simpo":
        return _smoothed(beta * (chosen.per_token - rejected.per_token) - margin, label_smoothing)
    return _smoothed(beta * (chosen.policy - rejected.policy), label_smoothing)


def reward_losses(chosen: Tensor, rejected: Tensor, margin: Tensor | float = 0.0, centering: float = 0.0) -> Tensor:
    """Return the Bradley-Terry loss of each pair (P): -log σ(r_c - r_r - margin) + centering (r_c + r_r)².

    margin: how much better the chosen answer was said to be (Touvron et al. 2023, Llama 2). centering keeps rewards
    around 0, which the pairs alone leave open (Eisenstein et al. 2023).
    """
    return -F.logsigmoid(chosen - rejected - margin) + centering * (chosen + rejected) ** 2


def _smoothed(logits: Tensor, share: float) -> Tensor:
    return -(1 - share) * F.logsigmoid(logits) - share * F.logsigmoid(-logits)


def _log1mexp(x: Tensor) -> Tensor:
    """Return log(1 - exp(x)) of x < 0, accurately near 0 and far from it (Mächler 2012)."""
    near = x > -0.6931471805599453
    inner = torch.where(near, x, torch.full_like(x, -1.0))
    outer = torch.where(near, torch.full_like(x, -1.0), x)
    return torch.where(near, torch.log(-torch.expm1(inner)), torch.log1p(-torch.exp(outer)))
