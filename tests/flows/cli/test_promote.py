"""`textmill promote` and `champion`: options become a config, and the exit code tells whether the champion changed."""

from __future__ import annotations

from typing import Any

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.comparing import runs as known
from flows.recipe.promote import PromoteConfig
from flows.run import promote as promoting
from flows.run import start
from flows.run.start import RunResult
from tasks.tracking import registry
from tests.flows.comparing.test_runs import record
from tests.terminal import textmill


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the flow was called with; `outcome` is what it returns."""
    seen: dict[str, Any] = {"outcome": "Promoted", "problem": None}
    monkeypatch.setattr(promoting, "candidate_of", lambda *_: None)
    monkeypatch.setattr(promoting, "check_wanted", lambda *_: None)

    def promote_model(model: str, config: PromoteConfig) -> RunResult:
        seen.update(model=model, config=config)
        return RunResult(seen["problem"] is None, seen["problem"], None, None, seen["outcome"])

    monkeypatch.setattr(start, "promote_model", promote_model)
    return seen


def test_options_become_the_config(asked: dict[str, Any]) -> None:
    textmill("promote")
    assert (asked["model"], asked["config"]) == ("last", PromoteConfig())
    textmill("promote", "sft/3f2a", "--metric", "a_acc", "--metric", "b_acc", "--alpha", "0.01", "--must-be-better")
    assert asked["model"] == "sft/3f2a"
    assert asked["config"] == PromoteConfig(metrics=("a_acc", "b_acc"), alpha=0.01, must_be="better")


def test_exit_codes(asked: dict[str, Any]) -> None:
    asked["outcome"] = "NotPromoted"
    textmill("promote", code=3)
    asked["problem"] = "MLflow's model registry cannot be used."
    assert "cannot be used" in textmill("promote", code=1)
    assert "--alpha 3.0: Input should be less than 1." in textmill("promote", "--alpha", "3", code=2)
    assert "--name a/b: String should match pattern" in textmill("promote", "--name", "a/b", code=2)


def test_a_model_that_is_not_there() -> None:
    assert "no pipeline run yet" in textmill("promote", code=2)
    assert "The lake has no model 'sft/12'" in textmill("promote", "sft/12", code=2)


# -- champion ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[known.PipelineRecord]:
    """Two runs that MLflow knows."""
    found = [record("bbbb" * 8, "new", artifacts={"dedup": "dedup/0000"}), record("aaaa" * 8, "old")]
    monkeypatch.setattr(known, "pipeline_runs", lambda home: found)
    return found


def test_the_champion_is_an_artifact_or_the_last_model_of_a_run(
    model: Artifact, runs: list[known.PipelineRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(registry, "set_champion", lambda _, artifact: chosen.append(artifact.name) or "mill version 1")
    textmill("champion", "pretrain")
    runs[0].artifacts["pretrain"] = model.name  # type: ignore[index]
    textmill("champion", "last")
    assert chosen == [model.name] * 2


def test_who_cannot_be_the_champion(lake: Lake, runs: list[known.PipelineRecord]) -> None:
    assert "made no model" in textmill("champion", "old", code=2)
    assert "Nor is it a run" in textmill("champion", "nosuch", code=2)
