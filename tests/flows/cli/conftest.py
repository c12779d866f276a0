"""A small lake in the test's own home, for the verbs that look into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from tests.flows.cli.untrained import untrained
from tests.lakes import small_lake


@pytest.fixture
def lake(home: Path) -> Lake:
    """crawl, two cleans and a dedup."""
    return small_lake(home / "lake")


@pytest.fixture
def model(home: Path) -> Artifact:
    """A model that has learned nothing."""
    return untrained(home)
