"""Toy stages that leave marks when they run: numbers → squares → total, for tests of the contract itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import Field

from flows.graph.node import Graph
from flows.recipe.recipe import RecipeBase
from tasks.stage import Artifact, Execution, Output, StageConfig, stage
from tasks.stage.contract import AnyStage


class NumbersConfig(StageConfig):
    """How many numbers."""

    count: int = Field(5, ge=1, le=100, description="how many numbers")
    even_only: bool = Field(False, description="only even numbers")
    max_age: float | None = Execution(None, description="seconds after which the numbers are made again")
    workers: int = Execution(0, description="does not change the result")


class SquaresConfig(StageConfig):
    """What to do with each number."""

    power: int = Field(2, description="exponent")


class TotalConfig(StageConfig):
    """How to add up."""

    modulus: int = Field(1000, ge=1, description="the total is taken modulo this")


RUNS: list[str] = []


def _check(artifact: Artifact) -> Iterator[str]:
    if artifact.counts.get("numbers", 0) <= 0:
        yield "There are no numbers."
    json.loads((artifact.path / "numbers.json").read_text())


@stage(makes=Artifact, version=1, contract=_check)
def numbers(config: NumbersConfig, out: Output) -> None:
    """Make numbers."""
    RUNS.append("numbers")
    found = [n for n in range(config.count) if not (config.even_only and n % 2)]
    (out.dir / "numbers.json").write_text(json.dumps(found))
    out.count(numbers=len(found))


@stage(makes=Artifact, version=1)
def squares(config: SquaresConfig, out: Output, numbers: Artifact) -> None:
    """Raise each number to a power."""
    RUNS.append("squares")
    found = json.loads((numbers.path / "numbers.json").read_text())
    (out.dir / "squares.json").write_text(json.dumps([n**config.power for n in found]))
    out.count(squares=len(found))


@stage(makes=Artifact, version=1)
def total(config: TotalConfig, out: Output, squares: Artifact) -> None:
    """Add up."""
    RUNS.append("total")
    found = json.loads((squares.path / "squares.json").read_text())
    (out.dir / "total.json").write_text(json.dumps(sum(found) % config.modulus))
    out.metric(total=sum(found) % config.modulus, unknown=None)


TOYS: dict[str, AnyStage] = {"numbers": numbers, "squares": squares, "total": total}


class ToyRecipe(RecipeBase):
    """The sections of the toy stages."""

    name: str = "toy"
    numbers: NumbersConfig = Field(NumbersConfig(), description="how many numbers")
    squares: SquaresConfig = Field(SquaresConfig(), description="what to do with each")
    total: TotalConfig | None = Field(TotalConfig(), description="how to add up; null = not at all")


def toy_graph(recipe: ToyRecipe | None = None, stages: Mapping[str, AnyStage] = TOYS) -> Graph:
    """The graph of the toys, once for each variant; `stages` may be edited ones of the same names."""
    recipe = recipe or ToyRecipe()
    graph = Graph(tuple(recipe.variants) or ("",))
    for label in graph.variants:
        one = recipe.variant(label) if label else recipe
        with graph.variant(label):
            made = graph.add(stages["numbers"], one.numbers)
            raised = graph.add(stages["squares"], one.squares, made)
            if one.total is not None:
                graph.add(stages["total"], one.total, raised)
    return graph
