"""model/gpt.py: causal, the same with a cache, the same for the same seed, and honest about its size."""

from __future__ import annotations

import pytest
import torch

from model import masks
from model.cache import KVCache
from model.gpt import GPT
from model.shape import GPTConfig

SMALL = GPTConfig(vocab_size=50, n_layer=2, n_head=4, n_kv_head=2, d_model=32, d_ff=48, max_seq_len=24)


def ids(length: int, seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 50, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_no_position_sees_the_future() -> None:
    model = GPT(SMALL).initialise(1).eval()
    one = ids(20)
    other = one.clone()
    other[:, 11:] = ids(9, seed=9)
    torch.testing.assert_close(model(one)[:, :11], model(other)[:, :11])
    assert not torch.allclose(model(one)[:, 11:], model(other)[:, 11:])


FAMILIES = ("llama", "qwen3", "gpt2")


def of(**fields: object) -> GPT:
    """Return a small model with weights that let every part matter."""
    given = {**SMALL.model_dump(exclude={"n_kv_head"}), "n_kv_head": 4, **fields}
    model = GPT(GPTConfig.model_validate(given)).initialise(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)), alpha=0.1)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_on_the_left_changes_nothing(family: str) -> None:
    model = of(family=family).eval()
    whole, shift = ids(12), 5
    row = torch.cat([ids(shift, seed=3), whole], dim=1)
    mask = torch.ones(shift + 12, shift + 12, dtype=torch.bool).tril()
    mask[shift:, :shift] = False
    positions = torch.cat([torch.zeros(shift, dtype=torch.int64), torch.arange(12)]).expand(2, -1)
    torch.testing.assert_close(model(row, positions=positions, mask=mask[None, None])[:, shift:], model(whole))


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_documents_are_as_if_alone(family: str) -> None:
    model = of(family=family)
    documents = torch.tensor([[0] * 7 + [1] * 5] * 2)
    positions = torch.tensor([[*range(7), *range(5)]] * 2)
    packed = model(ids(12), positions=positions, mask=masks.same_document(documents))
    torch.testing.assert_close(packed[:, :7], model(ids(12)[:, :7]))
    torch.testing.assert_close(packed[:, 7:], model(ids(12)[:, 7:]))


@pytest.mark.parametrize("family", FAMILIES)
def test_in_an_encoder_all_tokens_see_each_other_but_no_padding(family: str) -> None:
    model = of(family=family, network="encoder").eval()
    one, other = ids(12), ids(12)
    other[:, 11] = (other[:, 11] + 1) % 50
    assert not torch.allclose(model(one)[:, 0], model(other)[:, 0])
    lengths = torch.tensor([12, 8])
    padded = model(one, mask=masks.padded(lengths, 12))
    torch.testing.assert_close(padded[0], model(one[:1])[0])
    torch.testing.assert_close(padded[1, :8], model(one[1:, :8])[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_decoder_reads_its_source(family: str) -> None:
    model = of(family=family, network="encoder-decoder").eval()
    source, target = ids(10, seed=5), ids(12)
    lengths = torch.tensor([10, 6])
    mask = masks.padded(lengths, 10)
    with torch.inference_mode():
        memory = model.encode(source, mask)
        whole = model(target, memory=memory, memory_mask=mask)
        alone = model(target[1:], memory=model.encode(source[1:, :6]))
        torch.testing.assert_close(whole[1], alone[0])
        assert not torch.allclose(whole, model(target, memory=model.encode(ids(10, seed=6), mask), memory_mask=mask))
        cache, parts = KVCache(model.config), []
        for start, end in ((0, 5), (5, 6), (6, 12)):
            parts.append(model(target[:, start:end], cache, memory=memory, memory_mask=mask))
        torch.testing.assert_close(torch.cat(parts, dim=1), whole)
        changed = target.clone()
        changed[:, 11] = (changed[:, 11] + 1) % 50
        torch.testing.assert_close(model(changed, memory=memory, memory_mask=mask)[:, :11], whole[:, :11])


def test_only_an_encoder_decoder_reads_a_source() -> None:
    with pytest.raises(ValueError, match="kind decoder reads no source"):
        GPT(SMALL).encode(ids(4))


def test_dropout_works_in_training_only() -> None:
    model = of(family="gpt2", dropout=0.5)
    assert not torch.allclose(model(ids(12)), model(ids(12)))
    model.eval()
    torch.testing.assert_close(model(ids(12)), model(ids(12)))


def test_training_and_inference_paths_agree() -> None:
    model = GPT(SMALL).initialise(1)
    with torch.no_grad():
        without = model(ids(20))
    torch.testing.assert_close(model(ids(20)), without)


@pytest.mark.parametrize("pieces", [[20], [1] * 20, [7, 1, 5, 7], [3, 17]])
def test_a_cache_changes_nothing(pieces: list[int]) -> None:
    model = GPT(SMALL).initialise(1).eval()
    whole = ids(20)
    cache, start, parts = KVCache(SMALL), 0, []
    with torch.inference_mode():
        for length in pieces:
            parts.append(model(whole[:, start : start + length], cache))
            start += length
        torch.testing.assert_close(torch.cat(parts, dim=1), model(whole))


def test_the_context_has_an_end() -> None:
    with pytest.raises(ValueError, match=r"25 tokens does not fit the model's context of 24"):
        GPT(SMALL)(ids(25))


def test_the_seed_is_the_weights() -> None:
    first, same, other = (GPT(SMALL).initialise(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


def test_tied_weights_are_counted_and_stored_once() -> None:
    tied, untied = GPT(SMALL), GPT(SMALL.model_copy(update={"tie_embeddings": False}))
    assert untied.count_parameters() - tied.count_parameters() == 50 * 32
    assert "lm_head.weight" not in tied.state_dict()
    # an input embedding is a lookup and multiplies nothing; a tied one is the output matrix too
    assert untied.flops_per_token(10) == tied.flops_per_token(10) == 6 * tied.count_parameters() + 12 * 2 * 32 * 10
