"""model/quantisation.py: settings that would have no effect are refused, and groups that do not fit are named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model.quantisation import Quantisation


@pytest.mark.parametrize(
    ("given", "words"), [({"group": 32}, "leave group out"), ({"symmetric": False}, "leave symmetric out")]
)
def test_8_bits_have_one_symmetric_step_for_each_row(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Quantisation(bits=8, **given)
    assert Quantisation(bits=4, **given).bits == 4


def test_groups_divide_rows() -> None:
    assert Quantisation().unfit(7) is None
    assert Quantisation(bits=4, group=32).unfit(96) is None
    assert "100 weights cannot be divided into groups of 64" in str(Quantisation(bits=4).unfit(100))
    assert "an even number" in str(Quantisation(bits=4, group=17).unfit(34))
