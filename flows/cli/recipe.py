"""`textmill recipe`: a recipe with everything that it extends, overrides and leaves out, written as one recipe."""

from __future__ import annotations

import typer

from flows.cli.arguments import Like, Overrides, RecipeName, load_or_replay
from flows.cli.console import examples, in_sentences, write


@in_sentences
def recipe(context: typer.Context, recipe: RecipeName = "demo", overrides: Overrides = None, like: Like = None) -> None:
    """Print the resolved recipe as YAML, one field per line: what a run with the same arguments would use.

    The output is a recipe itself: saved to a file, it gives the same results even if later versions change defaults.
    """
    from flows.recipe.yaml import to_yaml

    write(to_yaml(load_or_replay(context, recipe, overrides, like).model_dump(mode="json")))


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Running",
        epilog=examples(
            "textmill recipe demo",
            "textmill recipe my.yaml --set sft.training.steps=500 > resolved.yaml",
            "textmill recipe --like last > again.yaml",
        ),
    )(recipe)
