"""A home that was copied or moved writes into its own folder only."""

import shutil
from pathlib import Path

from data_lake.store.home import Home
from flows.servers.mlflow_db import init_mlflow
from tasks.tracking.mlflow_client import Sender
from tests.live_up import copy_of


def log_figure(home: Home, experiment: str, name: str) -> str:
    """A run with one file, as a stage makes it; returns the run's id."""
    sender = Sender(home, home.mlflow_uri)
    run = sender.start({"experiment": experiment, "name": "x", "t": 1, "tags": {}}, None)
    figure = home.spool / name
    figure.write_text(name)
    sender.file(run, figure, f"figures/{name}")
    return run


def files_of(home: Home) -> set[str]:
    return {path.name for path in home.root.rglob("*.txt")}


def artifacts(home: Home, run: str) -> list[str]:
    return [found.path for found in Sender(home, home.mlflow_uri).client.list_artifacts(run, "figures")]


def test_a_copy_and_its_original_do_not_touch_each_other(initialised: Home, tmp_path: Path) -> None:
    original = copy_of(initialised, tmp_path / "one [1]")
    init_mlflow(original)
    run = log_figure(original, "textmill/clean", "first.txt")
    copy = Home(tmp_path / "two & ö")
    shutil.copytree(original.root, copy.root)
    init_mlflow(copy)
    log_figure(copy, "textmill/clean", "second.txt")
    log_figure(copy, "textmill", "third.txt")
    log_figure(original, "textmill", "fourth.txt")
    assert files_of(original) == {"first.txt", "fourth.txt"}
    assert files_of(copy) == {"first.txt", "second.txt", "third.txt"}
    assert artifacts(copy, run) == artifacts(original, run) == ["figures/first.txt"]
    shutil.rmtree(original.root)
    assert artifacts(copy, run) == ["figures/first.txt"]


def test_a_moved_home_leaves_the_old_place_alone(initialised: Home, tmp_path: Path) -> None:
    old = copy_of(initialised, tmp_path / "old")
    init_mlflow(old)
    run = log_figure(old, "textmill/clean", "first.txt")
    elsewhere = (tmp_path / "elsewhere").as_uri()
    client = Sender(old, old.mlflow_uri).client
    mine = client.create_experiment("mine", artifact_location=elsewhere)
    new = Home(tmp_path / "new")
    old.root.rename(new.root)
    init_mlflow(new)
    log_figure(new, "textmill/clean", "second.txt")
    assert artifacts(new, run) == ["figures/first.txt"]
    assert not old.root.exists()
    assert Sender(new, new.mlflow_uri).client.get_experiment(mine).artifact_location == elsewhere
