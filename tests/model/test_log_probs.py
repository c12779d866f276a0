"""model/log_probs.py: the numbers and gradients of a plain log-softmax, with only the targets projected."""

from __future__ import annotations

import pytest
import torch

from model import log_probs
from model.batches import Batch
from model.gpt import GPT
from model.log_probs import policy_tokens, token_log_probs
from model.losses import IGNORE
from model.shape import GPTConfig

SMALL = GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=24)


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_numbers_and_gradients_are_those_of_a_log_softmax(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_probs, "CHUNK", chunk)
    ids = torch.randint(0, 50, (3, 12), generator=torch.Generator().manual_seed(0))
    targets = ids.roll(-1, 1)
    targets[0, :5] = targets[1, 3:] = IGNORE
    model = GPT(SMALL).initialise(1)
    found = token_log_probs(model, Batch(ids, targets))
    wanted = model(ids).log_softmax(-1).gather(2, targets.clamp_min(0)[..., None])[..., 0]
    wanted = wanted * (targets != IGNORE)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(found, list(model.parameters()), upstream)
    theirs = torch.autograd.grad(wanted, list(model.parameters()), upstream)
    torch.testing.assert_close(ours, theirs)


def test_without_targets_all_is_zero() -> None:
    ids = torch.zeros(2, 4, dtype=torch.int64)
    found = token_log_probs(GPT(SMALL).initialise(1), Batch(ids, torch.full_like(ids, IGNORE)))
    assert found.tolist() == [[0.0] * 4] * 2


def test_a_policy_is_measured_at_its_temperature() -> None:
    ids = torch.randint(0, 50, (2, 8), generator=torch.Generator().manual_seed(0))
    targets = ids.roll(-1, 1)
    targets[:, :3] = IGNORE
    model = GPT(SMALL).initialise(1)
    with torch.no_grad():
        model.output_weight.mul_(20)
    found = policy_tokens(model, Batch(ids, targets), temperature=0.7)
    every = (model(ids) / 0.7).log_softmax(-1)
    counted = targets != IGNORE
    wanted = every.gather(2, targets.clamp_min(0)[..., None])[..., 0] * counted
    torch.testing.assert_close(found.log_probs, wanted)
    torch.testing.assert_close(found.entropy, -(every.exp() * every).sum(-1) * counted)
    ours = torch.autograd.grad(found.log_probs.sum(), list(model.parameters()))
    torch.testing.assert_close(ours, torch.autograd.grad(wanted.sum(), list(model.parameters())))
