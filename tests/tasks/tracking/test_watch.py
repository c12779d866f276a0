"""Tracking: everything reaches MLflow, once, also after the server or the process went away.

Also covers: tasks/tracking/journal.py
Also covers: tasks/tracking/mlflow_client.py
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from data_lake.store.home import Home
from data_lake.store.lake import Lake
from flows.servers.connect import is_up
from tasks.tracking.journal import unsent
from tasks.tracking.mlflow_client import Sender
from tasks.tracking.registry import set_champion
from tasks.tracking.watch import (
    LoggedSteps,
    StageReporter,
    Tracker,
    TrackingWatch,
    flush_spool,
    mlflow_run_id,
    version_tags,
)
from tests.toy import NumbersConfig, TotalConfig, numbers, squares, total
from tests.tracked import Logger, client, only_run, watch


def test_a_run_arrives_whole(textmill: Home, tmp_path: Path) -> None:
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/toy", "first", {"textmill.stage": "toy"}, {"lr": 0.1, "names": ["a", "b"]})
    for step in range(2500):
        run.metrics({"loss": 1.0 / (step + 1), "odd name!": step}, step)
    figure = Figure()
    figure.subplots().plot([1, 2])
    reporter = StageReporter(run, progress=None, logger=Logger(), logged=LoggedSteps(tmp_path / "logged.json"))  # type: ignore[arg-type]
    reporter.figure("loss", figure)
    reporter.table("samples", [{"step": 1, "text": "once"}])
    run.finish("FINISHED")
    assert tracker.close() is None
    assert unsent(textmill.spool) == []

    found = only_run(textmill, "textmill/toy")
    assert found.info.status == "FINISHED"
    assert found.data.params == {"lr": "0.1", "names": '["a", "b"]'}
    history = client(textmill).get_metric_history(found.info.run_id, "loss")
    assert [metric.step for metric in history] == list(range(2500))
    assert found.data.metrics["odd name_"] == 2499
    paths = {a.path for a in client(textmill).list_artifacts(found.info.run_id)}
    assert paths == {"figures", "samples.json"}
    assert [a.path for a in client(textmill).list_artifacts(found.info.run_id, "figures")] == ["figures/loss.png"]


def test_a_stage_run_carries_its_key_params_headline_and_system_metrics(textmill: Home) -> None:
    tracker = Tracker(textmill)
    lake = Lake(textmill.lake)
    made = numbers.build(lake, NumbersConfig(), {}, watch=watch(tracker)).artifact
    squared = squares.build(lake, squares.config_type(), {"numbers": made}, watch=watch(tracker)).artifact
    artifact = total.build(lake, TotalConfig(), {"squares": squared}, watch=watch(tracker)).artifact
    assert tracker.close() is None
    run = only_run(textmill, "textmill/total")
    assert run.data.tags["textmill.artifact"] == artifact.name
    assert run.data.tags["textmill.input.squares"] == squared.name
    assert run.data.params["modulus"] == "1000"
    assert run.data.metrics["total"] == 30
    assert "system/cpu_utilization_percentage" in run.data.metrics
    assert mlflow_run_id(textmill, artifact) == run.info.run_id


def test_a_stage_run_is_called_as_its_node_and_can_be_found_by_its_variant(textmill: Home) -> None:
    tracker = Tracker(textmill)
    lake = Lake(textmill.lake)
    for count, variant in enumerate((None, "d6"), 2):
        node = "numbers" if variant is None else f"numbers@{variant}"
        looks = TrackingWatch(tracker, logger=Logger(), node=node, variant=variant, terminal=False, prefect=False)  # type: ignore[arg-type]
        numbers.build(lake, NumbersConfig(count=count), {}, watch=looks)
    squares.build(lake, squares.config_type(), {"numbers": lake.artifacts("numbers")[0]}, watch=watch(tracker))
    assert tracker.close() is None
    experiment = client(textmill).get_experiment_by_name("textmill/numbers")
    assert experiment is not None
    (found,) = client(textmill).search_runs([experiment.experiment_id], "tags.variant = 'd6'")
    assert found.info.run_name == "numbers@d6"
    (other,) = client(textmill).search_runs([experiment.experiment_id], "attributes.run_name = 'numbers'")
    assert "variant" not in other.data.tags
    assert other.data.tags["kind"] == found.data.tags["kind"] == numbers.makes.__name__
    assert only_run(textmill, "textmill/squares").info.run_name == "squares"


def test_an_experiment_says_what_it_is_also_one_that_was_there_before(textmill: Home) -> None:
    kind, note = "mlflow.experimentKind", "mlflow.note.content"
    client(textmill).create_experiment("textmill/old")
    client(textmill).create_experiment("textmill/ours", tags={note: "what we wrote", kind: "finetuning"})
    tracker = Tracker(textmill)
    for name in ("textmill/old", "textmill/ours", "textmill/new"):
        tracker.start_run(name, "a", {}, {}, about="What its runs are.").finish("FINISHED")
    numbers.build(Lake(textmill.lake), NumbersConfig(), {}, watch=watch(tracker))
    assert tracker.close() is None
    tags = {one.name: one.tags for one in client(textmill).search_experiments()}
    for name in ("textmill/old", "textmill/new"):
        assert (tags[name][kind], tags[name][note]) == ("custom_model_development", "What its runs are.")
    assert (tags["textmill/ours"][kind], tags["textmill/ours"][note]) == ("finetuning", "what we wrote")
    said = tags["textmill/numbers"][note]
    assert "`numbers`" in said
    assert str(numbers.function.__doc__) in said


def test_what_a_killed_process_logged_is_sent_by_the_next_one(textmill: Home) -> None:
    code = (
        "import os, signal\n"
        "from data_lake.store.home import Home\n"
        "from tasks.tracking.journal import Journal\n"
        "home = Home.from_env()\n"
        "journal = Journal(home.spool)\n"
        "journal.write('start', experiment='textmill/killed', name='k', tags={}, continues=None)\n"
        "[journal.write('metrics', values={'loss': s}, step=s) for s in range(50)]\n"
        'journal._file.write(\'{"op": "metrics", "val\')\n'
        "journal._file.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], env=os.environ, check=False)
    assert result.returncode == -signal.SIGKILL
    assert flush_spool(textmill) is None
    run = only_run(textmill, "textmill/killed")
    assert len(client(textmill).get_metric_history(run.info.run_id, "loss")) == 50
    assert run.info.status == "KILLED"
    assert unsent(textmill.spool) == [], "the line that the kill cut off is not waited for"


def wait_until_sent(home: Home) -> None:
    deadline = time.monotonic() + 60
    while unsent(home.spool):
        assert time.monotonic() < deadline, "the journals are not sent"
        time.sleep(0.1)


def test_a_run_is_not_ended_as_long_as_its_process_lives(textmill: Home) -> None:
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/alive", "a", {}, {})
    run.metrics({"loss": 1.0}, 1)
    wait_until_sent(textmill)
    assert only_run(textmill, "textmill/alive").info.status == "RUNNING"
    run.finish("FINISHED")
    assert tracker.close() is None
    assert only_run(textmill, "textmill/alive").info.status == "FINISHED"


def test_a_killed_run_that_is_taken_up_again_runs_again(textmill: Home) -> None:
    tracker = Tracker(textmill)
    first = tracker.start_run("textmill/up-again", "a", {}, {})
    first.metrics({"loss": 2.0}, 1)
    first.journal.close()  # as a kill leaves it: without an end, and with nobody who holds its lock
    second = tracker.start_run("textmill/up-again", "a", {}, {}, continues=first.journal.id)
    second.metrics({"loss": 1.0}, 2)
    wait_until_sent(textmill)
    run = only_run(textmill, "textmill/up-again")
    assert run.info.status == "RUNNING"
    assert len(client(textmill).get_metric_history(run.info.run_id, "loss")) == 2
    second.finish("FINISHED")
    assert tracker.close() is None


def test_a_stage_taken_up_again_goes_on_in_its_run(textmill: Home) -> None:
    tracker = Tracker(textmill)
    first = tracker.start_run("textmill/again", "a", {}, {"x": 1})
    first.metrics({"loss": 3.0}, 1)
    first.finish("FAILED")
    second = tracker.start_run("textmill/again", "a", {}, {"x": 1}, continues=first.journal.id)
    second.metrics({"loss": 2.0}, 2)
    second.finish("FINISHED")
    assert tracker.close() is None
    run = only_run(textmill, "textmill/again")
    assert run.info.status == "FINISHED"
    assert [m.value for m in client(textmill).get_metric_history(run.info.run_id, "loss")] == [3.0, 2.0]


def test_steps_that_are_done_again_after_a_kill_stand_there_once(textmill: Home, tmp_path: Path) -> None:
    tracker = Tracker(textmill)
    first = tracker.start_run("textmill/once", "a", {}, {})
    for process in range(2):
        run = first if process == 0 else tracker.start_run("textmill/once", "a", {}, {}, continues=first.journal.id)
        reporter = StageReporter(run, None, None, LoggedSteps(tmp_path / "logged.json"))  # type: ignore[arg-type]
        for step in range(10 if process == 0 else 20, 61 if process == 1 else 41, 10):
            reporter.log({"loss": 1 / step}, step)
            reporter.log({"validation_loss": 2 / step}, step)
        run.finish("FAILED" if process == 0 else "FINISHED")
    assert tracker.close() is None
    found = only_run(textmill, "textmill/once").info.run_id
    for name in ("loss", "validation_loss"):
        history = client(textmill).get_metric_history(found, name)
        assert [point.step for point in history] == [10, 20, 30, 40, 50, 60]


def test_a_changed_parameter_is_refused_noted_and_stops_nothing(textmill: Home) -> None:
    tracker = Tracker(textmill)
    first = tracker.start_run("textmill/params", "a", {}, {"device": "cpu"})
    first.finish("FAILED")
    second = tracker.start_run("textmill/params", "a", {}, {"device": "cuda"}, continues=first.journal.id)
    second.metrics({"loss": 2.0}, 2)
    second.finish("FINISHED")
    assert tracker.close() is None
    assert only_run(textmill, "textmill/params").data.metrics == {"loss": 2.0}
    assert "device" in (textmill.spool / "refused.log").read_text()


@pytest.fixture
def port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for server in started:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _start_mlflow(home: Home, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", home.mlflow_uri, "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--artifacts-destination", str(home.mlartifacts)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    give_up = time.monotonic() + 90
    while not is_up(f"http://127.0.0.1:{port}/health"):
        assert time.monotonic() < give_up, "MLflow's server did not start"
        time.sleep(0.1)
    return server


@pytest.mark.slow
def test_a_server_that_goes_away_stops_nothing_and_misses_nothing(
    textmill: Home, port: int, servers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("tasks.tracking.watch.FLUSH_TIMEOUT_SECONDS", 3.0)
    servers.append(_start_mlflow(textmill, port))
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/away", "a", {}, {})
    run.metrics({"loss": 0.0}, 0)
    give_up = time.monotonic() + 30
    while run.run_id is None and time.monotonic() < give_up:
        time.sleep(0.05)
    os.killpg(servers[0].pid, signal.SIGKILL)
    for step in range(1, 300):
        run.metrics({"loss": float(step)}, step)
    figure = Figure()
    figure.subplots().plot([1, 2])
    run.file("figures/loss.png", lambda path: figure.savefig(path, format="png"))
    run.finish("FINISHED")
    sentence = tracker.close()
    assert sentence is not None
    assert "Nothing is lost" in sentence
    servers.append(_start_mlflow(textmill, port))
    monkeypatch.setattr("tasks.tracking.watch.FLUSH_TIMEOUT_SECONDS", 60.0)
    assert flush_spool(textmill) is None
    found = only_run(textmill, "textmill/away")
    assert [m.step for m in client(textmill).get_metric_history(found.info.run_id, "loss")] == list(range(300))
    assert found.info.status == "FINISHED"


def test_the_file_of_a_run_is_read_back(textmill: Home) -> None:
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/files", "a", {}, {})
    run.file("recipe.json", lambda path: path.write_text('{"name": "ä"}', "utf-8"))
    run.finish("FINISHED")
    assert tracker.close() is None
    run_id = only_run(textmill, "textmill/files").info.run_id
    assert Sender(textmill).artifact(run_id, "recipe.json") == b'{"name": "\xc3\xa4"}'
    assert Sender(textmill).artifact(run_id, "other.json") is None


@pytest.mark.slow
def test_the_file_of_another_persons_run_comes_through_the_server(
    textmill: Home, tmp_path: Path, port: int, servers: list[subprocess.Popen[bytes]]
) -> None:
    """Their `textmill up` keeps files in a folder of their machine, which nobody else can read."""
    tracker = Tracker(textmill)
    run = tracker.start_run("textmill/theirs", "a", {}, {})
    run.file("recipe.json", lambda path: path.write_text("{}"))
    run.finish("FINISHED")
    assert tracker.close() is None
    run_id = only_run(textmill, "textmill/theirs").info.run_id
    servers.append(_start_mlflow(textmill, port))
    other = Sender(Home(tmp_path / "other"), f"http://127.0.0.1:{port}")
    with pytest.MonkeyPatch.context() as nowhere:
        # what lies in their folder is found by the server only
        nowhere.setattr("mlflow.store.artifact.local_artifact_repo.LocalArtifactRepository.list_artifacts", _none)
        assert other.artifact(run_id, "recipe.json") == b"{}"
        assert other.artifact(run_id, "other.json") is None


def _none(*_: object) -> list[object]:
    return []


def test_the_champion_is_a_registered_version_and_an_unknown_artifact_is_a_sentence(
    textmill: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(textmill)
    lake = Lake(textmill.lake)
    artifact = numbers.build(lake, NumbersConfig(), {}, watch=watch(tracker)).artifact
    run = tracker.start_run("textmill/sft", "model", {}, {})
    run.model("demo-sft", artifact, version_tags(artifact, lake))
    run.finish("FINISHED")
    assert tracker.close() is None
    assert set_champion(textmill, artifact) == "demo-sft version 1"
    version = client(textmill).get_model_version_by_alias("demo-sft", "champion")
    assert version.tags["artifact"] == artifact.name
    assert not Path("mlruns").exists()  # nothing may be left in the folder from which a command was called
    other = numbers.build(lake, NumbersConfig(count=2), {}).artifact
    with pytest.raises(LookupError, match="No registered model belongs to numbers/"):
        set_champion(textmill, other)
