"""`textmill compare`: for people and for programs, with runs that only MLflow knows, and with wrong names."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from flows.comparing import runs as known
from flows.comparing.runs import PipelineRecord
from tests.evaluations import Runs
from tests.flows.comparing.test_runs import record
from tests.terminal import data, notes, textmill


@pytest.fixture
def runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[PipelineRecord]:
    """Two runs of another home that MLflow knows."""
    older = record("aaaa" * 8, "old", parameters={"dedup.threshold": "0.8"}, metrics={"acc": 0.5, "steps": 9.0})
    newer = record(
        "bbbb" * 8,
        "new",
        parameters={"dedup.threshold": "[red]0.7"},
        metrics={"acc": 0.25, "steps": 9.0},
        artifacts={"dedup": "dedup/0000"},
    )
    monkeypatch.setattr(known, "pipeline_runs", lambda home: [newer, older])
    return [newer, older]


def test_two_runs_of_another_home_side_by_side(runs: list[PipelineRecord]) -> None:
    shown = textmill("compare", "last~1", "last", "--all")
    for words in ("old aaaaaaaa", "dedup.threshold", "[red]0.7", "-0.25", "dedup/0000", "steps"):
        assert words in shown
    assert "steps" not in textmill("compare", "old", "new")
    found = data("compare", "aaaa", "bbbb")
    assert [one["run"]["name"] for one in found["subjects"]] == ["old", "new"]
    assert {change["name"]: change["difference"] for change in found["metrics"]} == {"acc": -0.25, "steps": 0.0}
    said = " ".join(notes("compare", "old", "new").split())
    assert "This lake does not have dedup/0000 of new bbbbbbbb" in said
    assert "has no evaluation in this lake" in said


def test_scores_of_two_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[PipelineRecord] = []
    monkeypatch.setattr(known, "pipeline_runs", lambda home: list(reversed(found)))
    made = Runs(Lake(home / "lake"), found)
    made.run([n % 4 == 0 for n in range(80)], [700.0] * 12, depth=6)
    made.run([n % 4 < 3 for n in range(80)], [700.0] * 12, depth=12, wide={str(n): n for n in range(20)})
    shown = " ".join(textmill("compare", "last~1", "last").split())
    assert "pretrain.depth 6 12" in shown
    assert "b_acc 0.250 0.750 +0.500 better" in shown
    assert "bits_per_byte" not in textmill("compare", "last~1", "last", "--metric", "b_acc")
    rows = data("compare", "last~1", "last")["scores"][0]["rows"]
    assert [(row["name"], row["verdict"]) for row in rows] == [
        ("bits_per_byte", "not distinguishable"), ("b_acc", "better"),
    ]  # fmt: skip
    assert "Did you mean b_acc?" in textmill("compare", "last~1", "last", "--metric", "b_ac", code=2)


@pytest.mark.parametrize("wanted", ["last~9", "cccc", "nosuch", "last~"])
def test_a_run_that_nobody_knows(runs: list[PipelineRecord], wanted: str) -> None:
    assert "There is no " in textmill("compare", wanted, "last", code=2)
