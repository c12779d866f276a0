"""model/gpt.py: causal, the same with a cache, the same for the same seed, and honest about its size."""

from __future__ import annotations

import pytest
import torch

from model.config import GPTConfig
from model.gpt import GPT
from model.layers import KVCache

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
