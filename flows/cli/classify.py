"""`textmill classify`: asking a trained classifier for the label of a text."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

import typer

from data_lake.store.lake import Miss
from flows.cli.arguments import AsJson, find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, plain_text, print_json, write


@in_sentences
def classify(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="texts to label; - reads one from stdin")],
    artifact: Annotated[
        str, typer.Option("--model", metavar="ARTIFACT", help="a classifier: classify (the newest), or classify/key")
    ] = "classify",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Say the label of a text and its probability, as a classifier that a run trained sees it."""
    given = [sys.stdin.read() if text == "-" else text for text in texts]
    if any(not text.strip() for text in given):
        raise UserError("The text is empty; give the classifier something to label.")
    found = find_artifact(artifact)
    if "labels.json" not in found.files:
        raise UserError(f"{found.name} is no classifier; name an artifact of classify.")
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    from tasks.delivery.labelling import Labeller

    try:
        made = Labeller(found.path, device).label(given)
    except ValueError as error:
        raise UserError(str(error)) from error
    if as_json:
        print_json([dataclasses.asdict(one) for one in made])
        return
    for one in made:
        beside = f"  {plain_text(' '.join(one.text.split()), 60)}" if len(made) > 1 else ""
        write(f"{one.label}  {one.probability:.3f}{beside}\n")
        if one.cut:
            note("Only the beginning of the text was read: it is longer than the classifier's context.")


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="Models",
        epilog=examples('textmill classify "You have won a prize, call now"', "textmill classify - --json < mail.txt"),
    )(classify)
