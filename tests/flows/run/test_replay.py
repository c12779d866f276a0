"""Replay: `--like` takes the recipe of an earlier run, whole or one variant of it, and says what it cannot use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.home import Home
from flows.comparing.runs import pipeline_runs
from flows.graph.node import Node
from flows.graph.variants import graph_of
from flows.recipe.recipe import Recipe
from flows.run.pipeline_runs import RECIPE_FILE, PipelineRuns
from flows.servers.mlflow_db import init_mlflow
from tasks.tracking.watch import PIPELINE_EXPERIMENT, Tracker
from tests.terminal import data, textmill

DEPTHS: dict[str, dict[str, Any]] = {
    "d2": {"pretrain": {"model": {"n_layer": 2}}},
    "d3": {"pretrain": {"model": {"n_layer": 3}}},
}
PLAIN = Recipe(name="plain", crawl={"server": "pydoc"}, tokenizer={"vocab_size": 512})
LADDER = Recipe(name="ladder", crawl={"server": "pydoc"}, variants=DEPTHS)


def keep(place: Home, recipe: Recipe, flow_run_id: str) -> None:
    """Leave in MLflow what a run of this recipe does."""
    tracker = Tracker(place)
    nodes = [node for node in graph_of(recipe).all if isinstance(node, Node)]
    PipelineRuns(place, recipe, nodes, tracker, {"prefect.flow_run_id": flow_run_id}).finish({}, {}, "FINISHED")
    assert tracker.close() is None


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with three runs: a plain one, one of a recipe with two variants, and one of an older textmill."""
    place = Home(tmp_path_factory.mktemp("template")).ensure()
    init_mlflow(place)
    keep(place, PLAIN, "flow-plain")
    keep(place, LADDER, "flow-ladder")
    tracker = Tracker(place)
    tracker.start_run(PIPELINE_EXPERIMENT, "bare", {}, {}).finish("FINISHED")
    older = Recipe(name="older").model_dump(mode="json")
    older["pretrain"]["model"]["n_experts"] = 8
    older["rerank"] = {"top": 3}
    run = tracker.start_run(PIPELINE_EXPERIMENT, "older", {}, {})
    run.file(RECIPE_FILE, lambda path: path.write_text(json.dumps(older)))
    run.finish("FINISHED")
    broken = tracker.start_run(PIPELINE_EXPERIMENT, "broken", {}, {})
    broken.file(RECIPE_FILE, lambda path: path.write_text("[1, 2"))
    broken.finish("FINISHED")
    assert tracker.close() is None
    return place


@pytest.fixture(autouse=True)
def place(home: Path, database: Home) -> Home:
    made = Home.from_env().ensure()
    shutil.copy(database.mlflow_db, made.mlflow_db)
    return made


def nodes(*arguments: str) -> list[str]:
    return [row["node"] for row in data("plan", *arguments)["nodes"]]


def test_the_recipe_of_a_run_is_planned_and_changed_again() -> None:
    assert "vocab_size: 512" in textmill("recipe", "--like", "plain")
    assert "vocab_size: 576" in textmill("recipe", "--like", "plain", "--set", "tokenizer.vocab_size=576")
    found = data("plan", "--like", "plain")
    assert found["recipe"] == "plain"
    assert [row["node"] for row in found["nodes"]] == [node.name for node in graph_of(PLAIN).nodes]


def test_a_run_with_variants_is_replayed_with_all_of_them_or_one() -> None:
    assert {"pretrain@d2", "pretrain@d3"} < set(nodes("--like", "ladder"))
    alone = textmill("recipe", "--like", "ladder@d3")
    assert "n_layer: 3" in alone
    assert "d2" not in alone
    assert "pretrain" in nodes("--like", "ladder@d3")
    assert "n_layer: 5" in textmill("recipe", "--like", "ladder@d3", "--set", "pretrain.model.n_layer=5")
    (run,) = [one for one in pipeline_runs(Home.from_env()) if one.variant == "d2"]
    assert "n_layer: 2" in textmill("recipe", "--like", run.run_id[:12]), "the id of one variant's run means that one"
    assert "d3:" in textmill("recipe", "--like", "flow-ladder")


def test_a_replayed_recipe_is_the_recipe_itself() -> None:
    """Its keys are the same, so a replay finds in the lake what the run made."""
    from flows.run.replay import recipe_like

    assert recipe_like("ladder") == LADDER
    assert recipe_like("plain") == PLAIN
    assert recipe_like("ladder@d3") == LADDER.variant("d3")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--like", "nothing"], ["There is no pipeline run 'nothing'", "last~1"]),
        (["--like", "last~99"], ["There is no run 'last~99'"]),
        (["--like", "ladder@d9"], ["has no variant 'd9'; it has d2, d3"]),
        (["--like", "bare"], ["(bare) has no recipe.json in MLflow"]),
        (["--like", "broken"], ["(broken) cannot be read: it is no recipe"]),
        (["--like", "older"], ["pretrain.model.n_experts", "rerank", "recipe.json", "Save recipe.json of the run"]),
        (["--like", "plain", "--set", "tokenizer.vocab_siz=3"], ["--set tokenizer.vocab_siz=3", "vocab_size"]),
        (["demo", "--like", "plain"], ["Give a recipe or --like, not both"]),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run", "recipe"])
def test_what_cannot_be_replayed_is_a_sentence(verb: str, arguments: list[str], words: list[str]) -> None:
    said = textmill(verb, *arguments, code=2)
    assert all(word in " ".join(said.split()) for word in words), said


def test_without_any_run_nothing_is_made(place: Home) -> None:
    place.mlflow_db.unlink()
    assert "MLflow has no pipeline run yet" in textmill("plan", "--like", "last", code=2)
    assert not place.mlflow_db.exists()
