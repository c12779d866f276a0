"""model/distillation.py: the divergences are torch's, whatever is outside the kept tokens is one more outcome, and a
student is pulled to its teacher.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model.batches import Batch
from model.distillation import Divergence, distillation_sums, divergence, largest, with_rest
from model.gpt import GPT
from model.shape import GPTConfig

TINY = GPTConfig(vocab_size=40, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=16, max_seq_len=8)


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


def test_the_divergences_are_those_of_torch() -> None:
    p, q = (draws(5, 7, seed=seed).log_softmax(-1) for seed in (0, 1))
    forward = F.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    reverse = F.kl_div(p, q, reduction="none", log_target=True).sum(-1)
    assert torch.allclose(divergence("forward", p, q), forward, atol=1e-6)
    assert torch.allclose(divergence("reverse", p, q), reverse, atol=1e-6)
    assert torch.allclose(divergence("symmetric", p, q), (forward + reverse) / 2, atol=1e-6)
    assert torch.equal(divergence("forward", p, p), torch.zeros(5))


def test_what_is_not_kept_is_one_more_outcome() -> None:
    logits = draws(6, 30)
    ids, known = largest(logits, 4, temperature=2.0)
    whole = (logits / 2).softmax(-1)
    assert torch.equal(ids, whole.topk(4).indices)
    both = with_rest(known).exp()
    assert torch.allclose(both.sum(-1), torch.ones(6), atol=1e-5)
    assert torch.allclose(both[:, -1], 1 - whole.topk(4).values.sum(-1), atol=1e-5)
    everything = with_rest(largest(logits, 30, 1.0)[1])
    assert everything[:, -1].exp().max() < 1e-5


def taught(model: GPT, top: int, temperature: float, seed: int = 3) -> tuple[Batch, torch.Tensor]:
    windows = np.random.default_rng(seed).integers(0, 40, (2, 9))
    batch = Batch.of_windows(windows)
    logits = draws(2, 8, 40, seed=seed)
    ids, known = largest(logits, top, temperature)
    return replace(batch, facts={"teacher_ids": ids, "teacher_log_probs": known}), logits


@pytest.mark.parametrize("kind", ["forward", "reverse", "symmetric"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_batchs_losses_and_their_gradients_are_those_of_torch(kind: Divergence, temperature: float) -> None:
    model = GPT(TINY).initialise(1)
    batch, logits = taught(model, 6, temperature)
    soft, hard = distillation_sums(model, batch, torch.float32, kind, temperature)
    (soft + hard).backward()
    found = model.embed_tokens.weight.grad
    assert found is not None
    model.zero_grad()
    own = model(batch.inputs)
    ids = batch.facts["teacher_ids"]

    def lumped(of: torch.Tensor) -> torch.Tensor:
        probabilities = (of / temperature).softmax(-1)
        kept = probabilities.gather(2, ids)
        return torch.cat([kept, 1 - kept.sum(-1, keepdim=True)], -1).log()

    p, q = lumped(logits), lumped(own)
    forward, reverse = (F.kl_div(a, b, reduction="sum", log_target=True) for a, b in ((q, p), (p, q)))
    wanted = {"forward": forward, "reverse": reverse, "symmetric": (forward + reverse) / 2}[kind]
    entropy = F.cross_entropy(own.flatten(0, 1), batch.targets.flatten(), reduction="sum")
    assert float(soft) == pytest.approx(float(wanted), rel=1e-4)
    assert float(hard) == pytest.approx(float(entropy), rel=1e-5)
    (wanted + entropy).backward()
    assert model.embed_tokens.weight.grad is not None
    assert torch.allclose(found, model.embed_tokens.weight.grad, atol=1e-4)
