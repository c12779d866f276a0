"""model/gguf/tensors.py: every weight is in the file once, and comes back as it was; stretched positions as factors."""

from __future__ import annotations

import pytest
import torch

from model.gguf.tensors import names, state_of, tensors_of
from model.gpt import GPT
from model.positions import rotary_table
from model.shape import GPTConfig
from tests.model.huggingface.folders import SHAPES, config_of


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("tied", [True, False])
def test_weights_come_back_as_they_were(family: str, tied: bool) -> None:
    config = GPTConfig(**{**config_of(family).model_dump(), "tie_embeddings": tied})
    model = GPT(config).initialise(0)
    written = list(tensors_of(model))
    assert [name for name, _ in written] == [name for name, _ in names(config)]
    assert len(dict(written)) == len(written)
    state = state_of(dict(written), config)
    assert state.keys() == dict(model.named_parameters()).keys()
    assert all(torch.equal(state[name], parameter) for name, parameter in model.named_parameters())


def test_what_turns_together_stands_side_by_side_in_a_llama() -> None:
    """llama.cpp turns rows 0 and 1, 2 and 3, …; ours turn with the row half a head further down."""
    model = GPT(config_of("llama"))
    config, name = model.config, "layers.0.self_attn.q_proj.weight"
    half = config.head_dim // 2
    ours = dict(model.named_parameters())[name]
    theirs = dict(tensors_of(model))["blk.0.attn_q.weight"]
    for head in range(config.n_head):
        for pair in range(half):
            row = head * config.head_dim + pair
            assert torch.equal(theirs[head * config.head_dim + 2 * pair], ours[row])
            assert torch.equal(theirs[head * config.head_dim + 2 * pair + 1], ours[row + half])


def test_stretched_positions_are_the_usual_ones_divided_by_factors() -> None:
    scaling = {"original_max_seq_len": 32, "factor": 4}
    config = GPTConfig(vocab_size=16, d_model=64, n_head=2, n_kv_head=2, n_layer=1, rope_scaling=scaling)
    factors = dict(tensors_of(GPT(config)))["rope_freqs.weight"]
    plain = torch.outer(torch.arange(config.max_seq_len), 10_000.0 ** (-torch.arange(0, 32, 2) / 32)) / factors
    assert torch.allclose(rotary_table(config)[0, :, :16], plain.cos(), atol=1e-4)
    assert 1 == factors[0] < factors[-1] == 4
