"""model/config.py: settings that contradict each other are refused with the numbers named."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from model.config import Runtime, Training


def test_warmup_and_decay_may_not_overlap() -> None:
    with pytest.raises(ValidationError, match=r"warmup 0.6 and decay 0.5"):
        Training(warmup=0.6, decay=0.5)
    assert Training(warmup=0.6, decay=0.5, schedule="cosine").schedule == "cosine"


@pytest.mark.parametrize(
    "fields",
    [
        {"matrix_learning_rate": 0.03},
        {"momentum": 0.9},
        {"momentum_start": 0.5},
        {"momentum_warmup": 0},
        {"newton_schulz_steps": 3},
    ],
)
def test_a_setting_of_muon_is_refused_without_it(fields: dict[str, float]) -> None:
    (name,) = fields
    with pytest.raises(ValidationError, match=rf"only Muon reads {name} \(.*\), but the optimizer is adamw"):
        Training(**fields)
    training = Training(optimizer="muon", **fields)
    assert Training(**training.model_dump()) == training
    assert Training(**Training().model_dump()) == Training()  # a stored config has all fields


def test_one_checkpoint_is_too_few() -> None:
    with pytest.raises(ValidationError):
        Runtime(keep_checkpoints=1)
