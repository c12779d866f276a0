"""model/config.py: settings that contradict each other are refused with the numbers named."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from model.config import Runtime, Training


def test_warmup_and_decay_may_not_overlap() -> None:
    with pytest.raises(ValidationError, match=r"warmup 0.6 and decay 0.5"):
        Training(warmup=0.6, decay=0.5)
    assert Training(warmup=0.6, decay=0.5, schedule="cosine").schedule == "cosine"


def test_one_checkpoint_is_too_few() -> None:
    with pytest.raises(ValidationError):
        Runtime(keep_checkpoints=1)
