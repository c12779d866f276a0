"""model/packed.py: packed documents are learned exactly as if each were alone, in every family and network.

Also covers: model/flex.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model import flex, masks
from model.batches import Batch, answer_batch, packed_answer_batch
from model.chat import Example
from model.gpt import GPT
from model.packed import document_mask, document_positions, states_of
from model.shape import GPTConfig
from model.trainer import next_token_loss
from model.validation import validation_loss

SHAPE = GPTConfig(vocab_size=64, n_layer=2, n_head=4, n_kv_head=4, d_model=64, d_ff=48, max_seq_len=32)
LENGTHS = [[9, 14, 5, 1], [32], [20, 3]]
FAMILIES = [{"family": "llama", "n_kv_head": 2}, {"family": "qwen3", "n_kv_head": 1}, {"family": "gpt2"}]


def network(**shape: object) -> GPT:
    """A small network whose weights are large enough for one document to disturb another."""
    model = GPT(GPTConfig(**{**SHAPE.model_dump(), **shape})).initialise(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


def packed_rows() -> np.ndarray:
    """Rows (3, 3, 32) of documents of LENGTHS: inputs, targets, numbers."""
    rng = np.random.default_rng(0)
    rows = np.zeros((len(LENGTHS), 3, 32), np.int64)
    rows[:, 1:] = -1
    for (inputs, targets, documents), lengths in zip(rows, LENGTHS, strict=True):
        at = 0
        for number, length in enumerate(lengths):
            inputs[at : at + length], targets[at : at + length] = rng.integers(0, 64, (2, length))
            documents[at : at + length] = number
            at += length
    return rows


def alone(rows: np.ndarray) -> list[Batch]:
    """Each document as a batch of its own."""
    found = []
    for inputs, targets, documents in rows:
        for number in range(documents.max() + 1):
            here = documents == number
            found.append(Batch(*(torch.from_numpy(part[here])[None] for part in (inputs, targets))))
    return found


@pytest.mark.parametrize("shape", [*FAMILIES, {"network": "encoder"}, {"family": "gpt2", "network": "encoder"}])
def test_the_loss_and_gradient_are_those_of_each_document_alone(shape: dict[str, object]) -> None:
    model, rows = network(**shape), packed_rows()
    losses, gradients = [], []
    for batches in ([Batch.of_packed(rows)], list(Batch.of_packed(rows).split(1)), alone(rows)):
        model.zero_grad()
        total = sum((next_token_loss(model, batch, torch.float32) for batch in batches), torch.zeros(()))
        total.backward()
        losses.append(total.item())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)
    assert losses[1] == pytest.approx(losses[2], rel=1e-5)
    for gradient in gradients[:2]:
        torch.testing.assert_close(gradient, gradients[2], rtol=0, atol=1e-5 * gradient.abs().max().item())
    joined = Batch.of_packed(rows)
    mixed_up = next_token_loss(model, Batch(joined.inputs, joined.targets), torch.float32).item()
    assert mixed_up != pytest.approx(losses[2], rel=1e-3), "without the mask, the documents must disturb each other"


def test_the_loss_of_joined_windows_is_what_it_was() -> None:
    """Recorded before documents could be packed: the loss of a batch of `test_loader.test_the_batches_never_change`."""
    tokens = np.concatenate([np.arange(length) * 7919 % 5000 for length in (5000, 3333)])
    windows = np.stack([tokens[i * 32 : i * 32 + 33] for i in (59, 127, 257, 42)])
    shape = GPTConfig(vocab_size=5000, n_layer=2, n_head=2, n_kv_head=1, d_model=32, d_ff=48, max_seq_len=32)
    loss = next_token_loss(GPT(shape).initialise(0), Batch.of_windows(windows), torch.float32)
    assert loss.item() == pytest.approx(1090.5399169921875, rel=1e-6)


def test_the_validation_is_that_of_each_document_alone() -> None:
    model, rows = network().eval(), packed_rows()
    sizes = np.arange(64) % 5  # some tokens have no text
    whole, parts = (validation_loss(model, batches, sizes) for batches in ([Batch.of_packed(rows)], alone(rows)))
    assert whole == pytest.approx(parts, rel=1e-5)


def test_a_packed_batch_counts_tokens_and_targets_without_padding() -> None:
    batch = Batch.of_packed(packed_rows())
    assert batch.n_tokens == batch.n_valid == sum(map(sum, LENGTHS))
    assert [part.n_tokens for part in batch.split(2)] == [29 + 32, 23]
    moved = batch.to(torch.device("cpu"))
    assert moved.documents is not None
    assert moved.n_tokens == batch.n_tokens


def test_positions_start_anew_with_each_document() -> None:
    documents = torch.tensor([[0, 0, 0, 1, 2, 2, -1, -1], [0] * 8])
    assert document_positions(documents).tolist() == [[0, 1, 2, 0, 0, 1, 0, 1], list(range(8))]


@pytest.mark.parametrize("causal", [True, False])
def test_blocks_hide_what_the_tensor_hides(causal: bool) -> None:
    """FlexAttention has no backward pass on CPUs, so this compares what it returns."""
    torch.manual_seed(0)
    documents = Batch.of_packed(packed_rows()).documents
    assert documents is not None
    queries, keys, values = torch.randn(3, 4, 32, 16), torch.randn(3, 2, 32, 16), torch.randn(3, 2, 32, 16)
    mixed = flex.attend_blocks(queries, keys, values, flex.document_blocks(documents, causal=causal))
    mask = masks.same_document(documents, causal=causal)
    expected = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, enable_gqa=True)
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", FAMILIES)
def test_the_network_takes_blocks_as_well(shape: dict[str, object]) -> None:
    model, batch = network(**shape).eval(), Batch.of_packed(packed_rows())
    assert batch.documents is not None
    with torch.no_grad():
        states = model.hidden(
            batch.inputs, positions=document_positions(batch.documents), mask=flex.document_blocks(batch.documents)
        )
        torch.testing.assert_close(states, states_of(model, batch), rtol=1e-4, atol=1e-4)


def test_a_cpu_gets_a_tensor_and_a_gpu_blocks_where_it_can() -> None:
    documents = torch.zeros(1, 4, dtype=torch.int64)
    assert isinstance(document_mask(documents, SHAPE), torch.Tensor)
    if torch.cuda.is_available():
        assert not isinstance(document_mask(documents.cuda(), SHAPE), torch.Tensor)
        narrow = GPTConfig(**{**SHAPE.model_dump(), "d_head": 8})
        assert isinstance(document_mask(documents.cuda(), narrow), torch.Tensor)


@pytest.mark.gpu
def test_on_a_gpu_the_loss_and_gradient_are_those_of_a_cpu() -> None:
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        model = network(n_kv_head=2).to(device)
        loss = next_token_loss(model, Batch.of_packed(packed_rows()).to(torch.device(device)), torch.float32)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([parameter.grad.flatten().cpu() for parameter in model.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda shape: shape["family"])
def test_packed_answers_are_learned_as_if_each_conversation_were_alone(family: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    made = [Example(tuple(rng.integers(0, 64, n).tolist()), ((1, 3), (n - 2, n))) for n in (9, 14, 5, 20)]
    found = {}
    for name, batch in (
        ("packed", packed_answer_batch([[made[0], made[1], made[2]], [made[3]]], pad=0)),
        ("alone", answer_batch(made, pad=0)),
    ):
        model = network(**family)
        loss = next_token_loss(model, batch, torch.float32)
        loss.backward()
        gradients = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
        found[name] = (loss.detach(), gradients, batch.n_valid, batch.n_tokens)
    assert found["packed"][2:] == found["alone"][2:] == (16, 44)
    assert torch.allclose(found["packed"][0], found["alone"][0], rtol=1e-5)
    difference = found["packed"][1] - found["alone"][1]
    assert float(difference.norm() / found["alone"][1].norm()) < 1e-5
