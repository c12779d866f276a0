"""flows/graph/resolve.py: one decision for each node, for plan, run and adopt alike; also after a build.

Also covers: flows/graph/differences.py
Also covers: tasks/stage/references.py
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.graph.node import Graph, Node
from flows.graph.plan import make_plan
from flows.graph.resolve import Resolver
from tasks.stage import Output, Stage, StageConfig, kinds, stage
from tasks.stage.preflight import Fault
from tests.toy import RUNS, ToyRecipe, toy_graph


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def statuses(resolver: Resolver) -> dict[str, str]:
    return {node.name: decision.status for node, decision in resolver.resolve().items()}


def build(graph: Graph, lake: Lake) -> list[str]:
    """Do what the resolver says until nothing is left, as the runner does; returns what was built."""
    resolver, built = Resolver(graph, lake), []
    while step := next((d for d in resolver.resolve().values() if d.status == "run"), None):
        node, decided = step.node, resolver.resolve()
        assert isinstance(node, Node)
        inputs = {role: found for role, one in node.inputs.items() if (found := decided[one].artifact)}
        resolver.built(node, node.stage.build(lake, node.config, inputs).artifact)
        built.append(node.name)
    return built


TWO = {"a": {}, "b": {"squares": {"power": 3}}}


def test_two_variants_build_what_they_share_once_and_the_second_run_nothing(lake: Lake) -> None:
    graph = toy_graph(ToyRecipe(variants=TWO))
    assert build(graph, lake) == ["numbers", "squares@a", "total@a", "squares@b", "total@b"]
    assert build(toy_graph(ToyRecipe(variants=TWO)), lake) == []
    assert build(toy_graph(ToyRecipe(squares={"power": 3})), lake) == []  # labels are in no key
    rows = make_plan(toy_graph(ToyRecipe(variants=TWO)), lake).rows
    assert [row.node for row in rows].count("numbers") == 1
    assert {row.status for row in rows} == {"hit"}


def test_what_comes_out_the_same_is_a_hit_after_all(lake: Lake) -> None:
    build(toy_graph(), lake)
    resolver = Resolver(toy_graph(), lake, force=["squares"])
    assert statuses(resolver) == {"numbers": "hit", "squares": "run", "total": "depends"}
    squares = resolver.scope[1]
    assert isinstance(squares, Node)
    resolver.built(squares, lake.artifacts("squares")[0])
    assert statuses(resolver) == {"numbers": "hit", "squares": "hit", "total": "hit"}


def test_what_is_lost_is_built_only_where_something_reads_it(lake: Lake) -> None:
    build(toy_graph(), lake)
    shutil.rmtree(lake.artifacts("numbers")[0].path)
    assert statuses(Resolver(toy_graph(), lake)) == {"numbers": "unneeded", "squares": "hit", "total": "hit"}
    changed = toy_graph(ToyRecipe(squares={"power": 3}))
    assert statuses(Resolver(changed, lake)) == {"numbers": "run", "squares": "run", "total": "depends"}
    shutil.rmtree(lake.artifacts("squares")[0].path)
    assert statuses(Resolver(toy_graph(), lake, force=["total"])) == {
        "numbers": "run", "squares": "run", "total": "run",
    }  # fmt: skip


def test_a_damaged_byte_found_late_is_decided_upon_again(lake: Lake) -> None:
    build(toy_graph(), lake)
    resolver = Resolver(toy_graph(), lake)
    numbers = resolver.scope[0]
    resolver.damaged(numbers, "the bytes of its file numbers.json changed")
    decided = resolver.resolve()[numbers]
    assert (decided.status, decided.anew) == ("run", True)
    assert decided.reasons == ("the bytes of its file numbers.json changed",)


def test_code_that_is_edited_while_a_run_goes_on_ends_it_all_the_same(lake: Lake) -> None:
    """The key that was decided is then not the one that is built: it would be built again without end."""
    resolver = Resolver(toy_graph(), lake)
    numbers = resolver.scope[0]
    assert isinstance(numbers, Node)
    assert statuses(resolver)["numbers"] == "run"
    numbers.stage = dataclasses.replace(numbers.stage, version=2)  # as another hash of its code
    resolver.built(numbers, numbers.stage.build(lake, numbers.config, {}).artifact)
    assert statuses(resolver)["numbers"] == "hit"


class NoConfig(StageConfig):
    """Nothing to set."""


@stage(makes=kinds.Evaluation, version=1)
def compare(config: NoConfig, out: Output, model: Artifact) -> None:
    """Read an artifact that a recipe names."""
    (out.dir / "read.txt").write_text(model.name)


@stage(makes=kinds.Evaluation, version=1)
def copied(config: NoConfig, out: Output, model: Artifact) -> None:
    """Stand between an artifact that a recipe names and its reader."""
    (out.dir / "read.txt").write_text(model.name)


@stage(makes=kinds.Tokenizer, version=1)
def words(config: NoConfig, out: Output) -> None:
    """Make a tokenizer."""
    (out.dir / "words.txt").write_text("a b")


def pinned(name: str, kind: type[Artifact] = Artifact) -> Graph:
    graph = Graph()
    graph.add(compare, NoConfig(), graph.pinned(kind, name, "compare.model"))
    return graph


def test_a_pinned_artifact_is_in_the_lineage_by_its_content_not_its_name(lake: Lake) -> None:
    build(toy_graph(), lake)
    total = lake.artifacts("total")[0]
    assert build(pinned(total.name), lake) == ["compare"]
    made = lake.artifacts("compare")[0]
    assert {role: entry.name for role, entry in made.manifest.inputs.items()} == {"model": total.name}
    assert made.manifest.kind == "Evaluation"
    assert made.manifest.payload["inputs"] == {"model": total.content}
    RUNS.clear()
    assert build(pinned(total.name[:12]), lake) == []


@pytest.mark.parametrize("name", ["total/ffff", "total", "nosuch/0123", ""])
def test_a_pinned_artifact_that_is_not_there_fails_in_the_plan(lake: Lake, name: str) -> None:
    build(toy_graph(), lake)
    (problem,) = make_plan(pinned(name), lake, name="r").problems
    assert (problem.place, problem.field) == ("recipe r", "compare.model")
    assert "the lake has 0 such artifacts" in problem.reason


def test_what_reads_a_missing_artifact_is_not_said_to_be_rebuilt_after_it(lake: Lake) -> None:
    build(toy_graph(), lake)
    name = lake.artifacts("total")[0].name
    build(pinned(name), lake)
    graph = Graph()
    graph.add(compare, NoConfig(), graph.add(copied, NoConfig(), graph.pinned(Artifact, name, "compare.model")))
    build(graph, lake)
    shutil.rmtree(lake.artifacts("total")[0].path)
    rows = {row.node: row.reasons for row in make_plan(graph, lake).rows}
    assert rows["copied"] == rows["compare"] == (f"it needs {name}, which would fail",)


def test_what_follows_a_stage_that_would_fail_is_not_said_to_be_rebuilt_after_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(toy_graph(), lake)
    changed = toy_graph(ToyRecipe.model_validate({"squares": {"power": 3}}))
    wrong = [Fault("squares.power", "Too much.")]
    monkeypatch.setattr(Stage, "faults", lambda stage, config, facts: wrong if stage.name == "squares" else [])
    rows = {row.node: (row.status, row.reasons) for row in make_plan(changed, lake).rows}
    assert rows["squares"][0] == "fails"
    assert rows["total"] == ("depends", ("it needs squares, which would fail",))


def test_a_pinned_artifact_of_another_kind_is_refused(lake: Lake) -> None:
    graph = Graph()
    graph.add(words, NoConfig())
    build(graph, lake)
    name = lake.artifacts("words")[0].name
    (problem,) = make_plan(pinned(name, kinds.Corpus), lake).problems
    assert "is a Tokenizer and no Corpus" in problem.reason
    assert make_plan(pinned(name, kinds.Tokenizer), lake).problems == ()
