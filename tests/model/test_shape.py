"""model/shape.py: shapes that cannot be are refused with the numbers named; presets are completed, not overruled."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model.shape import GPTConfig, GPTShape


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_model": 100, "n_head": 3}, "d_model 100 is not divisible by n_head 3"),
        ({"n_head": 4, "n_kv_head": 3}, "n_head 4 is not divisible by n_kv_head 3"),
        ({"d_model": 12, "n_head": 4, "n_kv_head": 4}, "head width d_model / n_head = 3 is odd"),
        ({"n_layers": 4}, "Extra inputs are not permitted"),
        ({"family": "gpt2", "n_kv_head": 2}, "set n_kv_head to 4, not 2"),
        ({"family": "gpt2", "rope_theta": 5e5}, "learned positions: leave out rope_theta"),
        ({"n_encoder_layer": 2}, "means nothing for a network of kind decoder"),
        ({"preset": "gpt3"}, "no preset 'gpt3'; there are demo, "),
        ({"rope_scaling": {"low_freq_factor": 4.0}}, "high_freq_factor 4.0 must be greater"),
    ],
)
def test_impossible_shapes_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GPTShape(**fields)


def test_a_config_survives_json() -> None:
    config = GPTConfig(vocab_size=300, n_layer=3, rope_theta=5e5)
    assert GPTConfig.model_validate_json(config.model_dump_json()) == config


def test_fields_beside_a_preset_replace_its_own() -> None:
    shape = GPTShape(preset="gpt2-124m", n_layer=3)
    assert (shape.n_layer, shape.d_model, shape.family, shape.dropout) == (3, 768, "gpt2", 0.1)


def test_an_encoder_decoder_has_as_many_blocks_on_both_sides() -> None:
    assert GPTShape(network="encoder-decoder", n_layer=3).encoder_layers == 3
    assert GPTShape(network="encoder-decoder", n_layer=3, n_encoder_layer=1).encoder_layers == 1
    assert GPTShape().encoder_layers == 0
