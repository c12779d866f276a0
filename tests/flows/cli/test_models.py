"""`textmill champion`: right and wrong input."""

from __future__ import annotations

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.comparing import runs as compare
from tasks.tracking import watch
from tests.flows.comparing.test_runs import record
from tests.terminal import textmill


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[compare.PipelineRecord]:
    """Two runs that MLflow knows."""
    older = record("aaaa" * 8, "old", parameters={"dedup.threshold": "0.8"}, metrics={"acc": 0.5, "steps": 9.0})
    newer = record(
        "bbbb" * 8,
        "new",
        parameters={"dedup.threshold": "[red]0.7"},
        metrics={"acc": 0.25, "steps": 9.0},
        artifacts={"dedup": "dedup/0000"},
    )
    monkeypatch.setattr(compare, "pipeline_runs", lambda home: [newer, older])
    return [newer, older]


def test_the_champion_is_an_artifact_or_the_last_model_of_a_run(
    model: Artifact, runs: list[compare.PipelineRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(watch, "set_champion", lambda home, artifact: chosen.append(artifact.name) or "mill version 1")
    textmill("champion", "pretrain")
    runs[0].artifacts["pretrain"] = model.name  # type: ignore[index]
    textmill("champion", "last")
    assert chosen == [model.name] * 2


def test_who_cannot_be_the_champion(lake: Lake, runs: list[compare.PipelineRecord]) -> None:
    assert "made no model" in textmill("champion", "old", code=2)
    assert "Nor is it a run" in textmill("champion", "nosuch", code=2)
