"""model/neftune.py: noise follows from the row's seed alone, changes training and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from model.batches import Batch
from model.neftune import noise_of, seeded, with_noise
from model.trainer import next_token_loss
from tests.model.test_packed import network

BATCH = Batch(torch.arange(24).view(3, 8), torch.arange(1, 25).view(3, 8))


def test_the_noise_has_its_size_and_is_another_in_each_row_and_step() -> None:
    most = 5 / math.sqrt(8 * 64)
    first, again, later = (noise_of(seeded(BATCH, 7, step), 64, 5.0) for step in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first[0], first[1])
    assert 0.98 * most < float(first.abs().max()) <= most
    assert abs(float(first.mean())) < most / 10


def test_the_loss_is_that_of_the_noisy_embedding_and_micro_batches_change_nothing() -> None:
    model, batch = network(), seeded(BATCH, 0, 0)
    with torch.no_grad():
        noisy = with_noise(5.0)(model, batch, torch.float32)
        assert isinstance(noisy, torch.Tensor)
        states = model.hidden(batch.inputs)
        plain = next_token_loss(model, batch, torch.float32)
        embedded = model.embed_tokens(batch.inputs) + noise_of(batch, 64, 5.0)
    hook = model.embed_tokens.register_forward_hook(lambda *_: embedded)
    with torch.no_grad():
        expected = next_token_loss(model, batch, torch.float32)
        hook.remove()
        assert torch.equal(model.hidden(batch.inputs), states), "the network is as before"
        parts = sum(float(with_noise(5.0)(model, part, torch.float32)) for part in batch.split(1))  # type: ignore[arg-type]
    assert float(noisy) == float(expected) != float(plain)
    assert parts == pytest.approx(float(noisy), rel=1e-6)


@pytest.mark.parity
def test_the_noise_is_that_of_transformers() -> None:
    neftune = pytest.importorskip("transformers.integrations.neftune")
    batch = replace(BATCH.rows(slice(0, 1)), facts={"neftune_seeds": torch.tensor([11])})
    module = torch.nn.Embedding(64, 16).train()
    module.neftune_noise_alpha = 5.0
    torch.manual_seed(11)
    theirs = neftune.neftune_post_forward_hook(module, (), torch.zeros(1, 8, 16))
    assert torch.allclose(noise_of(batch, 16, 5.0), theirs, atol=1e-7)
