"""model/huggingface/names.py: every weight of the network has a name there, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.huggingface.folder import NoModelFolder, read_folder
from model.huggingface.names import HEAD, check_folder, found_names, weights_of
from tests.model.huggingface.folders import SHAPES, config_of, model_of, write

Described = dict[str, tuple[str, tuple[int, ...]]]


def there(family: str) -> Described:
    return {weight.theirs: ("F32", weight.shape) for weight in weights_of(config_of(family))}


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_has_one_place_and_one_shape(family: str, tied: bool) -> None:
    model = model_of(family, tie_embeddings=tied)
    weights = list(weights_of(model.config))
    assert sorted(name for weight in weights for name in weight.ours) == sorted(dict(model.named_parameters()))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    for weight in weights:
        numbers = 1
        for side in weight.shape:
            numbers *= side
        assert numbers == sum(sizes[name] for name in weight.ours), weight.theirs


@pytest.mark.parametrize("family", SHAPES)
def test_names_may_lack_the_body(family: str) -> None:
    full = there(family)
    short = {name.removeprefix("model.").removeprefix("transformer."): one for name, one in full.items()}
    assert list(found_names(config_of(family), short)) == list(full)
    constants = {
        "gpt2": "h.0.attn.masked_bias", "llama": "model.layers.0.self_attn.rotary_emb.inv_freq",
        "qwen3": "model.rotary_emb.inv_freq",
    }  # fmt: skip
    assert set(found_names(config_of(family), {**full, constants[family]: ("F32", ())})) == set(full)


def test_a_tied_head_may_be_there_all_the_same() -> None:
    config = config_of("gpt2")
    assert HEAD in found_names(config, {**there("gpt2"), HEAD: ("F32", (config.vocab_size, config.d_model))})


def test_everything_that_does_not_fit_is_said_at_once() -> None:
    described = there("llama")
    del described["model.norm.weight"]
    described["model.layers.0.mlp.up_proj.weight"] = ("F32", (5, 8))
    described["model.layers.0.self_attn.q_proj.weight"] = ("I8", (8, 8))
    described["score.weight"] = ("F32", (2, 8))
    described["layers.0.input_layernorm.weight"] = ("F32", (8,))
    with pytest.raises(NoModelFolder) as caught:
        found_names(config_of("llama"), described)
    for words in (
        "twice, with and without 'model.': layers.0.input_layernorm.weight",
        "1 of 12 tensors are missing: model.norm.weight",
        "1 tensors belong to no part of such a model: score.weight",
        "model.layers.0.mlp.up_proj.weight has the shape 5 × 8 instead of 12 × 8",
        "no floating-point numbers of 16 to 64 bits: model.layers.0.self_attn.q_proj.weight (I8)",
    ):
        assert words in str(caught.value)


def test_the_check_of_a_folder_reads_headers_only(tmp_path: Path) -> None:
    write(tmp_path, "gpt2")
    assert check_folder(read_folder(tmp_path)) == config_of("gpt2")
    write(tmp_path, "gpt2", vocab_size=21)
    with pytest.raises(
        NoModelFolder, match=r"wte\.weight has the shape 20 × 8 instead of 21 × 8, which config.json asks"
    ):
        check_folder(read_folder(tmp_path))
