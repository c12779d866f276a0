"""What a stage reads is logged as MLflow's datasets: by role, once for a run, also when MLflow was away."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT as CONTEXT

from data_lake.store.home import Home
from data_lake.store.lake import Lake
from tasks.tracking.journal import unsent
from tasks.tracking.watch import Tracker, flush_spool
from tests.toy import NumbersConfig, numbers, squares
from tests.tracked import only_run, watch


def datasets(run: Any) -> dict[str, Any]:
    """What a run read: the role -> the dataset."""
    return {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs if entry.tags[0].key == CONTEXT}


def test_what_a_stage_reads_is_logged_as_datasets(textmill: Home) -> None:
    tracker = Tracker(textmill)
    lake = Lake(textmill.lake)
    made = numbers.build(lake, NumbersConfig(), {}, watch=watch(tracker)).artifact
    squares.build(lake, squares.config_type(), {"numbers": made}, watch=watch(tracker))
    assert tracker.close() is None
    assert only_run(textmill, "textmill/numbers").inputs.dataset_inputs == []
    ((role, dataset),) = datasets(only_run(textmill, "textmill/squares")).items()
    assert role == "numbers"
    assert dataset.name == made.name
    assert made.content.startswith(dataset.digest)
    assert len(dataset.digest) == 16
    source = json.loads(dataset.source)
    assert textmill.root / source["uri"] == made.path
    assert not Path(source["uri"]).is_absolute(), "the home may be moved"
    size = (made.path / "numbers.json").stat().st_size
    assert json.loads(dataset.profile) == {"numbers": 5, "bytes": size}


def test_an_artifact_that_is_read_in_two_roles_is_one_dataset_of_both(textmill: Home) -> None:
    tracker = Tracker(textmill)
    made = numbers.build(Lake(textmill.lake), NumbersConfig(), {}).artifact
    run = tracker.start_run("textmill/two", "two", {}, {})
    run.inputs({"base": made, "against": made}, textmill)
    run.finish("FINISHED")
    assert tracker.close() is None
    assert list(datasets(only_run(textmill, "textmill/two"))) == ["base, against"]


def test_datasets_that_wait_for_the_server_are_sent_later_and_once(
    textmill: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = numbers.build(Lake(textmill.lake), NumbersConfig(), {}).artifact
    monkeypatch.setattr("tasks.tracking.watch.FLUSH_TIMEOUT_SECONDS", 0.1)
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        tracker = Tracker(textmill)
        run = tracker.start_run("textmill/later", "later", {}, {})
        run.inputs({"numbers": made}, textmill)
        run.finish("FINISHED")
        assert "Nothing is lost" in (tracker.close() or "")
    monkeypatch.setattr("tasks.tracking.watch.FLUSH_TIMEOUT_SECONDS", 60.0)
    (waiting,) = unsent(textmill.spool)
    shutil.copytree(waiting, tmp_path / "journal")
    for _ in range(2):  # the second time as after a kill between sending and taking that down
        assert flush_spool(textmill) is None
        assert [dataset.name for dataset in datasets(only_run(textmill, "textmill/later")).values()] == [made.name]
        shutil.copytree(tmp_path / "journal", waiting, dirs_exist_ok=True)
