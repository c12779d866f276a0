"""model/config.py: shapes that cannot be are refused with the numbers named."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from model.config import GPTConfig, GPTShape, Runtime, Training


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_model": 100, "n_head": 3}, "d_model 100 is not divisible by n_head 3"),
        ({"n_head": 4, "n_kv_head": 3}, "n_head 4 is not divisible by n_kv_head 3"),
        ({"d_model": 12, "n_head": 4, "n_kv_head": 4}, "head width d_model / n_head = 3 is odd"),
        ({"n_layers": 4}, "Extra inputs are not permitted"),
    ],
)
def test_impossible_shapes_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GPTShape(**fields)


def test_warmup_and_decay_may_not_overlap() -> None:
    with pytest.raises(ValidationError, match=r"warmup 0.6 and decay 0.5"):
        Training(warmup=0.6, decay=0.5)
    assert Training(warmup=0.6, decay=0.5, schedule="cosine").schedule == "cosine"


def test_one_checkpoint_is_too_few() -> None:
    with pytest.raises(ValidationError):
        Runtime(keep_checkpoints=1)


def test_a_config_survives_json() -> None:
    config = GPTConfig(vocab_size=300, n_layer=3, rope_theta=5e5)
    assert GPTConfig.model_validate_json(config.model_dump_json()) == config
