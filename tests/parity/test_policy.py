"""Policy losses and their gradients equal those of trl's GRPOTrainer, from the same log-probabilities.

trl 1.16 has no PPO trainer any more; PPO's parts are tested against plain loops in tests/model/test_policy.py.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.policy import PolicyLoss, clipped_losses, divisor, kl_estimates, weighed_sum

pytest.importorskip("trl")
pytestmark = pytest.mark.parity

B, T = 6, 9


class Accelerator:
    """What the trainer asks of its own, for one process."""

    device = torch.device("cpu")
    num_processes = 1
    sync_gradients = True

    def gather(self, value: Any) -> Any:
        return value

    def reduce(self, value: Any, **_: Any) -> Any:
        return value


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["grpo", "dr_grpo", "dapo"])
def test_losses_and_gradients(kind: PolicyLoss, beta: float) -> None:
    from trl import GRPOTrainer

    generator = torch.Generator().manual_seed(0)
    old, reference = (-2 * torch.rand(B, T, generator=generator) for _ in range(2))
    policy = (old + 0.6 * torch.randn(B, T, generator=generator)).requires_grad_()
    advantages = torch.randn(B, generator=generator)
    mask = torch.arange(T) < torch.randint(1, T, (B, 1), generator=generator)
    trainer = SimpleNamespace(
        accelerator=Accelerator(), model=SimpleNamespace(training=True), loss_type=kind, beta=beta, epsilon_low=0.2,
        epsilon_high=0.28, top_entropy_quantile=1.0, off_policy_mask_threshold=None, importance_sampling_level="token",
        aux_loss_enabled=False, use_vllm=False, current_gradient_accumulation_steps=1, max_completion_length=T,
        _entropy_bonus_enabled=False, _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        _get_per_token_logps_and_entropies=lambda *_, **__: (policy, torch.zeros(B, T), None),
    )  # fmt: skip
    nothing = torch.zeros(B, 0, dtype=torch.int64)
    given = {
        "prompt_ids": nothing, "prompt_mask": nothing, "completion_ids": torch.zeros(B, T, dtype=torch.int64),
        "completion_mask": mask.int(), "advantages": advantages, "old_per_token_logps": old,
        "ref_per_token_logps": reference, "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    theirs = GRPOTrainer._compute_loss(trainer, None, given)
    losses, stopped = clipped_losses(policy, old, advantages[:, None], 0.2, 0.28)
    losses = losses + beta * kl_estimates(policy, reference)
    ours = weighed_sum(kind, losses, mask) / divisor(kind, B, int(mask.sum()), T)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    gradients = [torch.autograd.grad(loss, policy)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-6)
    share = float((stopped & mask).sum() / mask.sum())
    assert share == pytest.approx(trainer._metrics["train"]["clip_ratio/region_mean"][0], abs=1e-6)
    assert share > 0.1, "some tokens are clipped, or nothing was compared"
