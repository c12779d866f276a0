"""Runs and models whose scores are known, in a lake and in what stands for MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from flows.comparing import runs
from flows.comparing.runs import PipelineRecord
from tests.evaluations import Runs


@pytest.fixture
def made(home: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """An empty lake, and no run yet."""
    found: list[PipelineRecord] = []
    monkeypatch.setattr(runs, "pipeline_runs", lambda home: list(reversed(found)))
    return Runs(Lake(home / "lake"), found)
