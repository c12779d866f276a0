"""model/quantising.py: no weight is further than half a step from its level, and a quantised network is one like any
other, except that it cannot be trained.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.adapter import Adapter
from model.decoding import Decoder, Request
from model.folder import load_model, save_model
from model.gpt import GPT
from model.headed import Headed
from model.lora import adapt
from model.paged_texts import PagedTexts
from model.quantisation import Quantisation
from model.quantised import QuantisedEmbedding, QuantisedLinear
from model.quantising import dequantised, quantise, rounded
from model.shape import GPTConfig

FORMS = [
    Quantisation(),
    Quantisation(bits=4, group=16),
    Quantisation(bits=4, group=16, symmetric=False),
]
SHAPES = {
    "llama": GPTConfig(vocab_size=48, n_layer=2, n_head=2, n_kv_head=1, d_model=32, d_ff=48, max_seq_len=16),
    "gpt2": GPTConfig(
        family="gpt2", vocab_size=48, n_layer=1, n_head=2, n_kv_head=2, d_model=32, d_ff=48, max_seq_len=16,
        tie_embeddings=False,
    ),
}  # fmt: skip
WEIGHTS = st.lists(st.floats(-1e4, 1e4, width=32).map(lambda x: 0.0 if abs(x) < 1e-30 else x), min_size=32, max_size=32)


@given(WEIGHTS, st.sampled_from(FORMS))
def test_no_weight_is_further_than_half_a_step_from_its_level(values: list[float], form: Quantisation) -> None:
    weight = torch.tensor(values).view(1, 32)
    levels, scale, zero = rounded(weight, form)
    made = QuantisedLinear(1, 32, form)
    made.fill(levels, scale, zero)
    low, high = (-127, 127) if form.bits == 8 else (0, 15)
    assert low <= levels.min() <= levels.max() <= high
    step = scale.float().repeat_interleave(32 // scale.shape[1], dim=1)
    slack = 1e-5 * weight.abs().max()  # of the arithmetic in float32
    assert ((made.dense() - weight).abs() <= step / 2 + slack).all()
    widest = (weight.abs().view(scale.shape[1], -1).amax(1) / (127 if form.bits == 8 else 7.5)).clamp_min(1e-30)
    if form.symmetric and (widest > 1e-30).all():
        assert (scale[0].float() <= widest * (1 + 2**-7)).all(), "the step is no larger than it must be"


@pytest.mark.parametrize("family", list(SHAPES))
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_quantised_network_is_saved_loaded_and_undone(family: str, form: Quantisation, tmp_path: Path) -> None:
    ids = torch.randint(0, 48, (2, 9), generator=torch.Generator().manual_seed(0))
    plain = GPT(SHAPES[family]).initialise(1).eval()
    weights = plain.count_parameters()
    logits = plain(ids)
    model = quantise(plain, form)
    assert not any(isinstance(module, nn.Linear) for module in model.modules())
    assert isinstance(model.embed_tokens, QuantisedEmbedding)
    assert model.count_parameters() == weights
    found = model(ids)
    assert 0 < (found - logits).abs().max() < 0.1
    save_model(model, tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["quantisation"]["bits"] == form.bits
    loaded, _ = load_model(tmp_path)
    assert loaded.quantisation == form
    assert torch.equal(loaded(ids), found)
    undone = dequantised(loaded)
    assert undone.quantisation is None
    assert torch.allclose(undone(ids), found, atol=1e-5)
    assert torch.equal(undone.output_weight, loaded.output_weight)
    save_model(undone, tmp_path / "plain")
    assert (tmp_path / "model.safetensors").stat().st_size < 0.6 * (tmp_path / "plain/model.safetensors").stat().st_size
    assert dequantised(undone) is undone


def test_a_server_writes_what_is_written_alone() -> None:
    model = quantise(GPT(SHAPES["llama"]).initialise(1).eval(), Quantisation())
    made = []
    for texts in (None, PagedTexts(model, megabytes=1.0)):
        decoder = Decoder(model, texts=texts)
        grown = [decoder.add(Request([1, 2, number], 8)) for number in range(3)]
        while decoder.active:
            decoder.step()
        made.append([one.ids for one in grown])
    assert made[0] == made[1]
    assert len(made[0][0]) == 8


def test_it_is_neither_trained_nor_quantised_again() -> None:
    model = quantise(GPT(SHAPES["llama"]).initialise(1), Quantisation())
    with pytest.raises(ValueError, match="8 bits per weight cannot be quantised again"):
        quantise(model, Quantisation())
    with pytest.raises(ValueError, match="gets no head to train"):
        Headed.over(model, 1, "last", 0)
    with pytest.raises(ValueError, match="gets no adapter"):
        adapt(model, Adapter(), 0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_group_that_does_not_divide_a_matrix_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="Rows of 48 weights cannot be divided into groups of 32"):
        quantise(GPT(SHAPES["llama"]).initialise(1), Quantisation(bits=4, group=32))
