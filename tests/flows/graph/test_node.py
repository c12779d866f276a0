"""flows/graph/node.py: what can be added, what is shared by variants, and what a name means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.lake import Artifact
from flows.graph.node import Graph, Pinned, UnknownNode, ancestors, targets
from tasks.stage import Output, kinds, stage
from tests.toy import NumbersConfig, SquaresConfig, ToyRecipe, squares, toy_graph

ROOT = Path(__file__).resolve().parents[3]


def names(nodes: Any) -> list[str]:
    return [node.name for node in nodes]


def test_what_variants_have_in_common_is_one_node() -> None:
    recipe = ToyRecipe(
        variants={"a": {}, "b": {"squares": {"power": 3}}, "c": {"squares": {"power": 3}, "total": None}}
    )
    graph = toy_graph(recipe)
    assert names(graph.nodes) == ["numbers", "squares@a", "total@a", "squares@b", "total@b"]
    assert [node.users for node in graph.nodes] == [["a", "b", "c"], ["a"], ["a"], ["b", "c"], ["b"]]


def test_fields_that_change_no_result_make_no_second_node() -> None:
    recipe = ToyRecipe(variants={"a": {}, "b": {"numbers": {"workers": 4}}})
    assert names(toy_graph(recipe).nodes) == ["numbers", "squares", "total"]


def test_a_name_is_a_node_a_variants_node_or_a_stage() -> None:
    graph = toy_graph(ToyRecipe(variants={"a": {}, "b": {"squares": {"power": 3}}, "c": {"squares": {"power": 3}}}))
    assert names(graph.select("squares@b")) == names(graph.select("squares@c")) == ["squares@b"]
    assert names(graph.select("squares")) == ["squares@a", "squares@b"]
    assert names(graph.select("numbers@b")) == ["numbers"]
    assert names(graph.scope(["squares@c"])) == ["numbers", "squares@b"]
    assert names(graph.downstream("squares@a")) == ["total@a"]
    assert names(graph.downstream("numbers")) == ["squares@a", "total@a", "squares@b", "total@b"]
    for wrong, near in (("squars", "squares"), ("squares@d", "squares@"), ("", "numbers")):
        with pytest.raises(UnknownNode, match=near):
            graph.select(wrong)


def test_targets_are_what_nobody_reads() -> None:
    graph = toy_graph()
    assert names(targets(graph.all)) == ["total"]
    assert names(targets(graph.scope(["squares"]))) == ["squares"]
    assert names(ancestors(graph.nodes[2])) == ["squares", "numbers"]


@stage(makes=kinds.Evaluation, version=1, per="model")
def judge(config: SquaresConfig, out: Output, model: kinds.Model, other: kinds.Corpus | None = None) -> None:
    """Judge a model."""


@stage(makes=kinds.Model, version=1)
def train(config: NumbersConfig, out: Output) -> None:
    """Train a model."""


def test_a_stage_per_model_is_called_after_the_model() -> None:
    graph = Graph()
    model = graph.add(train, NumbersConfig())
    graph.add(judge, SquaresConfig(), model)
    assert names(graph.nodes) == ["train", "judge-train"]
    assert names(graph.select("judge")) == names(graph.select("judge-train")) == ["judge-train"]


def test_a_pinned_artifact_is_an_input_like_any_other() -> None:
    graph = Graph()
    judged = graph.add(judge, SquaresConfig(), graph.pinned(kinds.Model, "train/0123", "judge.model"))
    (pinned, _) = graph.all
    assert isinstance(pinned, Pinned)
    assert judged.inputs == {"model": pinned}  # type: ignore[attr-defined]
    assert graph.nodes[0].name == "judge-train/0123"


@pytest.mark.parametrize(
    ("arguments", "inputs", "words"),
    [
        ((), {}, "needs its numbers"),
        ((), {"others": 1}, "but not others"),
        ((3,), {}, "is given a int"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, inputs: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Graph().add(squares, SquaresConfig(), *arguments, **inputs)


def test_an_input_of_another_kind_is_refused() -> None:
    graph = Graph()
    corpus = graph.pinned(kinds.Corpus, "decontaminate/0123", "x")
    with pytest.raises(TypeError, match="reads a Model as its model, but is given a Corpus"):
        graph.add(judge, SquaresConfig(), corpus)  # type: ignore[arg-type]
    graph.add(train, NumbersConfig(count=3))
    with pytest.raises(ValueError, match="two different nodes called train"):
        graph.add(train, NumbersConfig(count=4))
    assert issubclass(kinds.Corpus, kinds.Documents)
    assert issubclass(kinds.Documents, Artifact)


WRONG = """
from flows.graph.node import Graph
from flows.recipe.recipe import Recipe
from tasks.stage import kinds
from tasks.training.pretrain import pretrain
from tasks.training.sft import sft
from tasks.corpus.tokenize import tokenize

recipe, graph = Recipe(), Graph()
pretraining = recipe.pretrain or exit()
corpus = graph.pinned(kinds.Corpus, "decontaminate/0", "x")
words = graph.pinned(kinds.Tokenizer, "tokenizer/0", "x")
tokens = graph.add(tokenize, recipe.tokenize, corpus, words)
model = graph.add(pretrain, pretraining, tokens, words)  # fits
graph.add(pretrain, pretraining, words, tokens)  # swapped
graph.add(tokenize, pretraining, corpus, words)  # another stage's config
graph.add(sft, recipe.sft or exit(), corpus)  # no base
graph.add(sft, recipe.sft or exit(), corpus=corpus, base=tokens)  # another kind
"""


def test_swapped_inputs_a_wrong_config_and_a_missing_base_are_type_errors(tmp_path: Path) -> None:
    """As mypy says it, with the settings of the project and --strict."""
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    lines = {int(line.split(":")[1]) for line in found.stdout.splitlines() if ": error:" in line}
    text = WRONG.splitlines()
    marked = {number for number, line in enumerate(text, 1) if line.startswith("graph.add")}
    assert lines == marked, found.stdout


def test_the_graph_and_the_contract_are_strictly_typed() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "flows/graph", "tasks/stage"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert found.returncode == 0, found.stdout
