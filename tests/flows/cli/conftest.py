"""A small lake in the test's own home, for the verbs that look into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from tests.lakes import small_lake


@pytest.fixture
def lake(home: Path) -> Lake:
    """crawl, two cleans and a dedup."""
    return small_lake(home / "lake")
