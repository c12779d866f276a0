"""Adopting: the code changed, the result did not; the artifact is kept, and what follows stays a hit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.run.adopt import AdoptError, adopt_artifact
from tasks.stage.contract import AnyStage
from tests.toy import RUNS, TOYS, ToyRecipe, toy_graph


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def build(lake: Lake, recipe: ToyRecipe, graph: dict[str, AnyStage]) -> dict[str, str]:
    """Build the graph; returns stage -> built or cached."""
    made: dict[str, Artifact] = {}
    statuses = {}
    for name, stage in graph.items():
        result = stage.build(lake, recipe.config(name), {up: made[up] for up in stage.inputs})
        made[name], statuses[name] = result.artifact, result.status
    return statuses


def edited(**versions: int) -> dict[str, AnyStage]:
    """The graph after an edit: the declared version stands for the code's fingerprint."""
    return {n: dataclasses.replace(s, version=versions.get(n, s.version)) for n, s in TOYS.items()}


def test_an_adopted_artifact_is_a_hit_and_so_is_what_follows(lake: Lake) -> None:
    recipe = ToyRecipe()
    build(lake, recipe, TOYS)
    graph = edited(squares=2)
    old = lake.artifacts("squares")[0]
    RUNS.clear()
    made = adopt_artifact(toy_graph(recipe, graph), "squares", lake)
    assert build(lake, recipe, graph) == {"numbers": "cached", "squares": "cached", "total": "cached"}
    assert RUNS == []
    assert made.manifest.adopted_from == old.name
    assert made.content == old.content
    assert made.manifest.version == 2
    assert "reviewed" in made.manifest.reason
    assert made.key != old.key
    assert {artifact.key for artifact in lake.artifacts("squares")} == {made.key, old.key}


def test_what_is_a_hit_needs_no_adopting(lake: Lake) -> None:
    build(lake, ToyRecipe(), TOYS)
    with pytest.raises(AdoptError, match="is a hit as it is"):
        adopt_artifact(toy_graph(), "squares", lake)


def test_only_code_can_be_reviewed(lake: Lake) -> None:
    build(lake, ToyRecipe(), TOYS)
    changed = ToyRecipe.model_validate({"squares": {"power": 3}})
    with pytest.raises(AdoptError, match="power: 2 → 3"):
        adopt_artifact(toy_graph(changed, edited(squares=2)), "squares", lake)


def test_an_upstream_that_was_never_built_comes_first(lake: Lake) -> None:
    build(lake, ToyRecipe(), TOYS)
    changed = ToyRecipe.model_validate({"numbers": {"count": 7}})
    with pytest.raises(AdoptError, match="adopt or run numbers first"):
        adopt_artifact(toy_graph(changed, edited(squares=2)), "squares", lake)


def test_a_damaged_artifact_is_not_adopted(lake: Lake) -> None:
    build(lake, ToyRecipe(), TOYS)
    (lake.artifacts("squares")[0].path / "squares.json").write_text("[0]")
    with pytest.raises(AdoptError, match="cannot be adopted"):
        adopt_artifact(toy_graph(stages=edited(squares=2)), "squares", lake)
