"""The runner: what a run builds, what it takes from the lake, what it says about it; on a real Prefect server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Lake
from flows.graph.plan import make_plan
from flows.servers.connect import Connection, connect
from tests.toy import RUNS, TOYS, ToyRecipe, toy_graph


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """An embedded Prefect server, as `textmill run` starts it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TEXTMILL_HOME", str(tmp_path_factory.mktemp("server")))
    patch.delenv("PREFECT_LOGGING_TO_API_ENABLED", raising=False)
    connection = connect(Home.from_env().ensure())
    connection.apply()
    connection.wait()
    yield connection
    connection.close()
    patch.undo()


@pytest.fixture
def run(server: Connection, home: Path) -> Any:
    """Run the toy pipeline in this test's home; returns {stage: status} and the names of the task states."""
    shutil.copytree(server.home.root / "run", home / "run")
    shutil.copy(server.home.mlflow_db, home / "mlflow.db")
    RUNS.clear()

    def go(until: tuple[str, ...] = (), force: tuple[str, ...] = (), **sections: Any) -> dict[str, str]:
        from prefect import flow

        from flows.run.runner import run_graph

        @flow(name="toy")
        def toy(values: dict[str, Any]) -> dict[str, str]:
            recipe = ToyRecipe(**values)
            return {name: line.status for name, line in run_graph(toy_graph(recipe), recipe, until, force).items()}

        return toy(sections)

    return go


def plan(until: tuple[str, ...] = (), force: tuple[str, ...] = (), **sections: Any) -> dict[str, tuple[str, str]]:
    rows = make_plan(toy_graph(ToyRecipe(**sections)), Lake(Home.from_env().lake), force, until).rows
    return {row.node: (row.status, "; ".join(row.reasons)) for row in rows}


def test_a_run_does_what_its_plan_said(run: Any) -> None:
    assert plan() == {
        "numbers": ("run", "never built"),
        "squares": ("run", "never built"),
        "total": ("run", "never built"),
    }
    assert run() == {"numbers": "built", "squares": "built", "total": "built"}
    assert {status for status, _ in plan().values()} == {"hit"}
    assert run() == {"numbers": "cached", "squares": "cached", "total": "cached"}
    assert RUNS == ["numbers", "squares", "total"]

    changed = {"squares": {"power": 3}}
    assert plan(**changed) == {
        "numbers": ("hit", ""),
        "squares": ("run", "power: 2 → 3"),
        "total": ("depends", "squares will be rebuilt; if the content is the same, this is a hit"),
    }
    assert run(**changed) == {"numbers": "cached", "squares": "built", "total": "built"}

    forced = plan(force=("squares",))
    assert forced["squares"] == ("run", "forced")
    assert forced["total"][0] == "depends"
    assert run(force=("squares",)) == {"numbers": "cached", "squares": "built", "total": "cached"}


def test_until_stops_there(run: Any) -> None:
    assert list(plan(until=("squares",))) == ["numbers", "squares"]
    assert run(until=("squares",)) == {"numbers": "built", "squares": "built"}


def test_a_lost_upstream_is_not_rebuilt_unless_something_must_read_it(run: Any) -> None:
    run()
    lake = Lake(Home.from_env().lake)
    (numbers,) = lake.artifacts("numbers")
    shutil.rmtree(numbers.path)
    assert plan()["numbers"][0] == "unneeded"
    assert run() == {"numbers": "lost", "squares": "cached", "total": "cached"}
    RUNS.clear()
    changed = {"squares": {"power": 3}}
    assert plan(**changed)["numbers"][0] == "run"
    assert run(**changed) == {"numbers": "built", "squares": "built", "total": "built"}
    assert RUNS == ["numbers", "squares", "total"]


def test_a_damaged_upstream_is_rebuilt_and_its_equal_content_stops_there(run: Any) -> None:
    run()
    (numbers,) = Lake(Home.from_env().lake).artifacts("numbers")
    (numbers.path / "numbers.json").unlink()
    assert plan()["numbers"] == ("run", "its file numbers.json is missing")
    assert run() == {"numbers": "built", "squares": "cached", "total": "cached"}


def test_prefect_shows_cached_and_the_stage_table(run: Any) -> None:
    run()
    run()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        (flow_run,) = client.read_flow_runs(limit=1, sort="START_TIME_DESC")  # type: ignore[arg-type]
        from prefect.client.schemas.filters import FlowRunFilter

        tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [flow_run.id]}))  # type: ignore[arg-type]
        assert {(task.name, task.state_name) for task in tasks} == {(name, "Cached") for name in TOYS}
        artifacts = client.read_artifacts()
        mine = {artifact.key for artifact in artifacts if artifact.flow_run_id == flow_run.id}
        assert {"stages", "summary"} <= mine
