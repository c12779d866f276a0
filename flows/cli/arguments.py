"""What verbs share: their arguments and options, and how these become a recipe, a stage, an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.cli.console import UserError
from flows.recipe.errors import nearest

if TYPE_CHECKING:
    from flows.graph.node import Graph
    from flows.recipe.recipe import Recipe

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="name of a recipe, or path of a .yaml file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="change a field; VALUE is YAML; may be repeated"),
]
Until = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="stop after this stage or node (pretrain@d6) and what it needs; may be repeated"),
]
Like = Annotated[
    str | None,
    typer.Option(
        metavar="RUN",
        help="take the recipe of an earlier run, anybody's on the same MLflow: last, last~1, a run's name or id; "
        "@VARIANT behind it takes that variant alone",
    ),
]
Force = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="build this stage or node even if the lake has it; may be repeated"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def known_stage(name: str) -> str:
    """Return `name` if it is a stage; otherwise raise UserError with the nearest one."""
    from flows.graph.stages import STAGES

    if name in STAGES:
        return name
    near = nearest(name, STAGES)
    hint = f" Did you mean {near}?" if near else ""
    raise UserError(f"There is no stage {name!r}; the stages are {', '.join(STAGES)}.{hint}")


def in_graph(recipe: Recipe, *names: str) -> Graph:
    """Return the recipe's graph; raises UserError if it has no node with one of these names."""
    from flows.graph.node import UnknownNode
    from flows.graph.variants import graph_of

    graph = graph_of(recipe)
    try:
        for name in names:
            graph.select(name)
    except UnknownNode as error:
        raise UserError(str(error)) from error
    return graph


def load(recipe: str, overrides: list[str] | None) -> Recipe:
    """Load a recipe with `--set` overrides; raises RecipeError with every mistake."""
    from flows.recipe.load import load_recipe

    return load_recipe(recipe, overrides or ())


def load_or_replay(context: typer.Context, recipe: str, overrides: list[str] | None, like: str | None) -> Recipe:
    """Load a recipe, or with `--like` the one of an earlier run; raises UserError where both are given."""
    if like is None:
        return load(recipe, overrides)
    given = context.get_parameter_source("recipe")
    if given is not None and given.name != "DEFAULT":
        raise UserError(f"Give a recipe or --like, not both: is it {recipe}, or the recipe of the run {like}?")
    from flows.comparing.runs import CompareError
    from flows.run.replay import ReplayError, recipe_like

    try:
        return recipe_like(like, overrides or ())
    except (CompareError, ReplayError) as error:
        raise UserError(str(error)) from error


def lake() -> Lake:
    """The lake of $TEXTMILL_HOME."""
    return Lake(Home.from_env().lake)


def find_artifact(name: str) -> Artifact:
    """Return the artifact that `name` refers to: a stage (its newest), `stage/key` or a prefix of it, a key's prefix.

    Raises UserError if there is none, or if a prefix matches several.
    """
    store = lake()
    found = store.find(name)
    if not found:
        known = sorted({artifact.stage for artifact in store.artifacts()})
        there = f"there are artifacts of {', '.join(known)}" if known else f"the lake {store.root} is empty"
        raise UserError(f"The lake has no artifact {name!r}: {there}. `textmill artifacts` lists them.")
    if len(found) > 1 and name.strip("/") != found[0].stage:
        raise UserError(f"{name!r} could be {' or '.join(a.name for a in found[:5])}: give more of the key.")
    return found[0]
