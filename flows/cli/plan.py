"""`textmill plan` and `adopt`: what a run would do and why, and keeping an artifact after an equivalent change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import (
    AsJson,
    Force,
    Like,
    Overrides,
    RecipeName,
    Until,
    in_graph,
    lake,
    load,
    load_or_replay,
)
from flows.cli.console import WRONG_USAGE, examples, in_sentences, note, output, print_json, styled, table
from tasks.tracking.quantities import duration, size

if TYPE_CHECKING:
    from flows.graph.plan import Plan

STYLES = {"hit": "green", "run": "yellow", "depends": "cyan", "unneeded": "dim", "fails": "red"}
MEANINGS = {
    "hit": "the lake has it",
    "run": "it will be built",
    "depends": "it is a hit if its rebuilt inputs come out the same",
    "unneeded": "it is not in the lake, and nothing will read it",
    "fails": "it would fail, so `textmill run` will not start",
}


def _cell(name: str, value: object) -> str:
    """A value of a preview for people: shares in percent, counts with thousands separators."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.2%}" if name in ("weight", "share") else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@in_sentences
def plan(
    context: typer.Context,
    recipe: RecipeName = "demo",
    overrides: Overrides = None,
    until: Until = None,
    force: Force = None,
    like: Like = None,
    as_json: AsJson = False,
) -> None:
    """Say for each node what `textmill run` would do, and why, without doing it."""
    from flows.graph.plan import make_plan

    loaded = load_or_replay(context, recipe, overrides, like)
    graph = in_graph(loaded, *(force or ()), *(until or ()))
    made = make_plan(graph, lake(), force or (), until or (), loaded.name)
    if as_json:
        print_json(made.to_json())
        _refuse(made)
        return
    names = ("node", "", "why", "takes", "makes", "artifact")
    rows = table(f"plan for the recipe {made.recipe}", names, ("takes", "makes"))
    for row in made.rows:
        style = STYLES[row.status]
        why = "\n".join(row.reasons)
        takes = "" if row.seconds is None else duration(row.seconds)
        makes = "" if row.bytes is None else size(row.bytes)
        rows.add_row(row.node, styled(row.status, style), why, takes, makes, row.artifact or "", style=None)
    console = output()
    console.print(rows)
    for node, shown in made.previews.items():
        preview = table(f"what {node} will read", tuple(shown[0]))
        for line in shown:
            preview.add_row(*(_cell(name, value) for name, value in line.items()), style=None)
        console.print(preview)
    statuses = list(dict.fromkeys(row.status for row in made.rows))
    note("\n".join(f"{status}: {MEANINGS[status]}" for status in statuses))
    if (price := _price(made)) is not None:
        note(price)
    _refuse(made)


def _price(made: Plan) -> str | None:
    """What the run is likely to take, as far as that is known; None where nothing is built."""
    builds = [row for row in made.rows if row.status in ("run", "depends")]
    if not builds:
        return None
    expected = made.expected
    if expected.seconds is None:
        return "How long it takes is not known: the lake has no earlier build to go by."
    sizes = "" if expected.bytes is None else f" and {size(expected.bytes)}"
    some = " at most" if any(row.status == "depends" for row in builds) else ""
    stages = Counter(row.stage for row in made.rows if row.node in made.unpriced)
    named = [stage if number == 1 else f"{stage} ({number} nodes)" for stage, number in stages.items()]
    without = f", without {', '.join(named)}, of which nothing is known" if named else ""
    return f"Expected: {duration(expected.seconds)}{sizes}{some}, going by earlier builds{without}."


def _refuse(made: Plan) -> None:
    """End as `textmill run` would if a stage would fail."""
    if made.problems:
        raise typer.Exit(WRONG_USAGE)


@in_sentences
def adopt(
    stage: Annotated[
        str, typer.Argument(metavar="NODE", help="the stage or node whose newest artifact is still valid")
    ],
    recipe: RecipeName = "demo",
    overrides: Overrides = None,
) -> None:
    """Keep a stage's artifact after a change of code or libraries that you reviewed and found equivalent.

    Only code and libraries may differ; config and inputs must be the same. The manifest records what was adopted.
    """
    from flows.run.adopt import adopt_artifact

    made = adopt_artifact(in_graph(load(recipe, overrides), stage), stage, lake())
    note(f"{made.name} is adopted from {made.manifest.adopted_from}; `textmill plan {recipe}` shows what follows.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(
        rich_help_panel="Running",
        epilog=examples(
            "textmill plan demo",
            "textmill plan demo --set pretrain.training.steps=500",
            "textmill plan my.yaml --json",
            "textmill plan --like last~1 --set pretrain.training.steps=500",
        ),
    )(plan)
    app.command(rich_help_panel="Running", epilog=examples("textmill adopt dedup", "textmill adopt pretrain my.yaml"))(
        adopt
    )
