"""The pipeline's runs in MLflow: one for each variant, under base names, with the recipe; what builds were to take."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.comparing.logged import logged_changes
from flows.comparing.runs import PipelineRecord, find_run, pipeline_runs
from flows.graph.node import Node
from flows.graph.price import Price
from flows.run.pipeline_runs import RECIPE_FILE
from flows.run.report import Report
from flows.servers.mlflow_db import init_mlflow
from tasks.stage import BuildResult
from tasks.tracking.mlflow_client import Sender
from tasks.tracking.watch import Tracker
from tests.toy import ToyRecipe, toy_graph

POWERS = {"square": {"squares": {"power": 2}}, "cube": {"squares": {"power": 3}}}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Home(tmp_path_factory.mktemp("template")).ensure()
    init_mlflow(made)
    return made.mlflow_db


@pytest.fixture
def place(home: Path, database: Path) -> Home:
    made = Home.from_env().ensure()
    shutil.copy(database, made.mlflow_db)
    return made


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """The tables that went to Prefect, by key."""
    import prefect.artifacts

    found: dict[str, list[dict[str, Any]]] = {}
    monkeypatch.setattr(
        prefect.artifacts, "create_table_artifact", lambda table, key, description: found.update({key: table})
    )
    monkeypatch.setattr(prefect.artifacts, "create_markdown_artifact", lambda **_: None)
    return found


def run(
    place: Home,
    recipe: ToyRecipe,
    flow_run_id: str = "flow-1",
    until: tuple[str, ...] = (),
    expected: dict[str, Price] | None = None,
) -> list[PipelineRecord]:
    """Build a toy recipe as the runner does, and return all pipeline runs that MLflow knows then, newest first."""
    graph, lake, tracker = toy_graph(recipe), Lake(place.lake), Tracker(place)
    nodes = [node for node in graph.scope(until) if isinstance(node, Node)]
    prices = {node: (expected or {})[node.name] for node in nodes if node.name in (expected or {})}
    report = Report(place, recipe, nodes, tracker, flow_run_id, None, " and ".join(until), prices)
    made: dict[Any, Artifact] = {}
    for node in nodes:
        result: BuildResult = node.stage.build(
            lake, node.config, {role: made[one] for role, one in node.inputs.items()}
        )
        made[node] = result.artifact
        report.node(node, result)
    report.close(None)
    assert tracker.close() is None
    return pipeline_runs(place)


def test_each_variant_has_a_run_with_its_own_results(place: Home, tables: dict[str, Any]) -> None:
    runs = run(place, ToyRecipe(description="Two powers.", variants=POWERS))
    assert {one.name for one in runs} == {"toy@square", "toy@cube"}
    assert {one.flow_run_id for one in runs} == {"flow-1"}
    cube, square = find_run("last@cube", runs), find_run("toy@square", runs)
    assert (cube.variant, square.variant) == ("cube", "square")
    assert (square.metrics["total.total"], cube.metrics["total.total"]) == (30, 100)
    assert square.metrics["numbers.numbers"] == cube.metrics["numbers.numbers"] == 5
    assert (square.parameters["squares.power"], cube.parameters["squares.power"]) == ("2", "3")
    assert cube.artifacts.keys() == {"numbers", "squares", "total"}
    assert cube.artifacts["numbers"] == square.artifacts["numbers"]
    assert cube.artifacts["squares"] != square.artifacts["squares"]
    (changed,) = [change for change in logged_changes(square.metrics, cube.metrics) if change.name == "total.total"]
    assert (changed.before, changed.after) == (30, 100)
    kept = Sender(place).artifact(cube.run_id, RECIPE_FILE)
    assert kept is not None
    assert ToyRecipe.model_validate_json(kept) == ToyRecipe(description="Two powers.", variants=POWERS)


def test_a_recipe_without_variants_has_one_run_of_its_own_name(place: Home, tables: dict[str, Any]) -> None:
    (only,) = run(place, ToyRecipe())
    assert (only.name, only.variant) == ("toy", None)
    assert only.metrics["total.total"] == 30


def test_a_run_that_ends_early_is_one_of_the_variants_that_it_is_about(place: Home, tables: dict[str, Any]) -> None:
    (only,) = run(place, ToyRecipe(variants=POWERS), until=("squares@cube",))
    assert only.variant == "cube"
    assert only.name == "toy@cube until squares@cube"
    assert "total.total" not in only.metrics
    with pytest.raises(Exception, match="has no variant 'square'"):
        find_run("last@square", [only])


def test_what_was_expected_stands_beside_what_was_measured(
    place: Home, tables: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {"numbers": Price(1234.0, 2_000_000), "squares": Price(5.0, None)}
    run(place, ToyRecipe(), expected=expected)
    rows = {row["node"]: row for row in tables["stages"]}
    assert (rows["numbers"]["expected seconds"], rows["numbers"]["expected bytes"]) == (1234.0, 2_000_000)
    assert (rows["squares"]["expected seconds"], rows["squares"]["expected bytes"]) == (5.0, "")
    assert (rows["total"]["expected seconds"], rows["total"]["expected bytes"]) == ("", "")
    (numbers,) = Lake(place.lake).artifacts("numbers")
    assert rows["numbers"]["bytes"] == sum(
        path.stat().st_size for path in numbers.path.iterdir() if path.name != "manifest.json"
    )
    said = capsys.readouterr().err
    assert "expected 20 min 34 s)" in next(line for line in said.splitlines() if "numbers" in line)
    assert "2 of 3 builds took " in said
    assert "(20 min 39 s expected)" in said

    run(place, ToyRecipe(), "flow-2", expected=expected)
    assert {row["expected seconds"] for row in tables["stages"]} == {""}, "what the lake has took nothing"
    assert "expected" not in capsys.readouterr().err


def test_the_recipe_of_a_run_is_kept_as_plain_data(place: Home, tables: dict[str, Any]) -> None:
    (only,) = run(place, ToyRecipe(name="mine", numbers={"count": 7}))
    kept = json.loads(Sender(place).artifact(only.run_id, RECIPE_FILE) or b"")
    assert kept["name"] == "mine"
    assert kept["numbers"]["count"] == 7
    assert kept["total"] == {"modulus": 1000}
