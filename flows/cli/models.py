"""`textmill champion`: choosing a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.home import Home
from flows.cli.arguments import find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note

if TYPE_CHECKING:
    from data_lake.store.lake import Artifact


@in_sentences
def champion(
    wanted: Annotated[
        str, typer.Argument(metavar="RUN_OR_ARTIFACT", help="an artifact, or a pipeline run (its last model)")
    ],
) -> None:
    """Point the alias `champion` of MLflow's model registry at a model."""
    from tasks.tracking.watch import set_champion

    artifact = _model_of(wanted)
    try:
        named = set_champion(Home.from_env(), artifact)
    except LookupError as error:
        raise UserError(str(error)) from error
    note(f"{artifact.name} is the champion now: {named}.")


def _model_of(wanted: str) -> Artifact:
    """The artifact that `wanted` names, or the last model of the pipeline run that it names."""
    try:
        return find_artifact(wanted)
    except UserError as no_artifact:
        from flows.comparing.runs import CompareError, find_run, pipeline_runs

        try:
            run = find_run(wanted, pipeline_runs(Home.from_env()))
        except CompareError as no_run:
            raise UserError(f"{no_artifact}\nNor is it a run: {no_run}") from no_run
    from tasks.stage import kinds

    made = set(run.artifacts.values())
    models = [one for one in lake().artifacts() if one.name in made and one.manifest.kind == kinds.Model.__name__]
    if not models:
        raise UserError(f"The run {run.run_id[:8]} made no model, or the lake does not have it any more.")
    return models[0]  # the newest: what was trained last


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(rich_help_panel="Models", epilog=examples("textmill champion sft", "textmill champion last"))(champion)
