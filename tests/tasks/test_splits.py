"""tasks/splits.py: the split is written down once and read by everybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.splits import SplitConfig, read_split, write_split


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_split(tmp_path, SplitConfig(val=0.25, test=0.125))
    assert read_split(tmp_path) == SplitConfig(val=0.25, test=0.125)
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(ValidationError, match="hold out every document"):
        SplitConfig(val=0.5, test=0.5)
