"""Preference losses equal trl's, computed by its own trainers from the same log-probabilities."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.objectives import PreferenceLoss
from model.preference import Answers, preference_losses

pytest.importorskip("trl")
pytestmark = pytest.mark.parity

P, T = 5, 12


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities per token of model and reference (2 P, T), chosen answers first, and which tokens count."""
    generator = torch.Generator().manual_seed(0)
    policy, reference = (-2 * torch.rand(2 * P, T, generator=generator) for _ in range(2))
    mask = torch.arange(T) < torch.randint(1, T, (2 * P, 1), generator=generator)
    return policy * mask, reference * mask, mask


def both() -> tuple[Answers, Answers]:
    policy, reference, mask = drawn()
    whole = Answers(policy.sum(1), reference.sum(1), mask.sum(1))
    return tuple(Answers(*(part[side] for part in vars(whole).values())) for side in (slice(P), slice(P, None)))  # type: ignore[return-value]


class Accelerator:
    """What the trainers ask of theirs, for one process."""

    device = torch.device("cpu")
    sync_gradients = True

    def gather_for_metrics(self, value: Any) -> Any:
        return value

    gather = gather_for_metrics


def trainer(**fields: Any) -> Any:
    """What trl's losses ask of their trainer."""
    return SimpleNamespace(
        accelerator=Accelerator(),
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **fields,
    )


class Network:
    """A model that returns given log-probabilities."""

    def __init__(self, log_probs: torch.Tensor) -> None:
        self.log_probs = log_probs

    def __call__(self, **_: Any) -> Any:
        nothing = torch.zeros_like(self.log_probs)
        return SimpleNamespace(log_probs=self.log_probs, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())


def inputs(mask: torch.Tensor) -> dict[str, Any]:
    """A batch whose completions are the tokens of `mask`, each after one token of a prompt."""
    shape = (len(mask), mask.shape[1] + 1)
    return {
        "input_ids": torch.zeros(shape, dtype=torch.int64),
        "attention_mask": torch.ones(shape),
        "completion_mask": torch.cat([torch.zeros(len(mask), 1), mask], 1).int(),
    }


@pytest.mark.parametrize(("kind", "theirs"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_dpo_and_ipo(kind: PreferenceLoss, theirs: str) -> None:
    from trl import DPOTrainer

    policy, reference, mask = drawn()
    fields = {"ld_alpha": None, "f_divergence_type": "reverse_kl", "loss_types": [theirs], "loss_weights": [1.0]}
    given = trainer(beta=0.3, label_smoothing=0.0, use_weighting=False, **fields)
    sums = reference.sum(1)
    batch = {**inputs(mask), "ref_chosen_logps": sums[:P], "ref_rejected_logps": sums[P:]}
    expected = DPOTrainer._compute_loss(given, Network(policy), batch, False)
    ours = preference_losses(kind, *both(), beta=0.3)
    assert float(ours.mean()) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("drift", [-0.4, 0.7])
def test_kto(drift: float) -> None:
    from trl import KTOTrainer

    policy, reference, mask = drawn()
    given = trainer(
        beta=0.3, loss_type="kto", calculate_KL=True, desirable_weight=1.0, undesirable_weight=1.0,
        _compute_kl_logps=lambda model, batch: torch.full((2 * P,), drift),
    )  # fmt: skip
    labels = torch.tensor([True] * P + [False] * P)
    batch = {**inputs(mask), "label": labels, "ref_logps": reference.sum(1), "ref_KL_logps": torch.zeros(2 * P)}
    expected = KTOTrainer._compute_loss(given, Network(policy), batch, False)
    ours = preference_losses("kto", *both(), beta=0.3, drift=max(0.0, drift))
    assert float(ours.mean()) / 2 == pytest.approx(float(expected), abs=1e-6), "theirs is per answer"


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["cpo", "simpo"])
def test_cpo_and_simpo(kind: PreferenceLoss, smoothing: float) -> None:
    from trl.experimental.cpo import CPOTrainer

    named = {"cpo": "sigmoid", "simpo": "simpo"}[kind]
    given = trainer(alpha=0.0, beta=2.0, simpo_gamma=0.7, label_smoothing=smoothing, loss_type=named)
    sums = [one.per_token if kind == "simpo" else one.policy for one in both()]
    theirs, *_ = CPOTrainer.cpo_loss(given, *sums)
    ours = preference_losses(kind, *both(), beta=2.0, margin=0.7, label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_orpo() -> None:
    from trl.experimental.orpo import ORPOTrainer

    chosen, rejected = both()
    theirs, *_ = ORPOTrainer.odds_ratio_loss(trainer(beta=0.2), chosen.per_token, rejected.per_token)
    torch.testing.assert_close(preference_losses("orpo", chosen, rejected, beta=0.2), -theirs, atol=1e-6, rtol=1e-6)
