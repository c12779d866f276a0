"""`textmill promote` and `champion`: the alias `champion` of a registered model, by paired tests or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_lake.store.home import Home
from flows.cli.arguments import find_artifact, lake
from flows.cli.console import FAILED, UserError, examples, in_sentences, note

if TYPE_CHECKING:
    from data_lake.store.lake import Artifact

NOT_PROMOTED = 3


@in_sentences
def promote(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="a pipeline run (its last model), or a model: sft, pretrain/<key>")
    ] = "last",
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="a metric that must not be worse; may be repeated [default: bits_per_byte]"),
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="chance of calling an equal model worse [default: 0.05]")] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="the registered model; default: the one that runs register it as")
    ] = "",
    must_be_better: Annotated[
        bool, typer.Option("--must-be-better", help="not being worse is not enough: one metric must be better")
    ] = False,
) -> None:
    """Make a model the champion of MLflow's registry if it is not worse than the present one on the same items.

    The exit code is 3 if it stays what it was.
    """
    from pydantic import ValidationError

    from flows.comparing.runs import CompareError
    from flows.recipe.promote import PromoteConfig
    from flows.run.promote import check_wanted
    from flows.run.start import promote_model

    given: dict[str, Any] = {"metrics": tuple(metric) if metric else None, "alpha": alpha, "name": name or None}
    given["must_be"] = "better" if must_be_better else None
    try:
        config = PromoteConfig(**{field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(f"--{first['loc'][0]} {first['input']}: {first['msg']}.") from error
    try:
        check_wanted(model, config, Home.from_env())
    except CompareError as error:
        raise UserError(str(error)) from error
    result = promote_model(model, config)
    if not result.ok:
        note(str(result.problem))
        raise typer.Exit(FAILED)
    if result.outcome == "NotPromoted":
        raise typer.Exit(NOT_PROMOTED)


@in_sentences
def champion(
    wanted: Annotated[
        str, typer.Argument(metavar="RUN_OR_ARTIFACT", help="an artifact, or a pipeline run (its last model)")
    ],
) -> None:
    """Point the alias `champion` of MLflow's model registry at a model."""
    from tasks.tracking.registry import set_champion

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
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            "textmill promote",
            "textmill promote last@d12 --metric bits_per_byte --metric hellaswag_acc_norm",
            "textmill promote sft/3f2a --must-be-better",
        ),
    )(promote)
    app.command(rich_help_panel="Models", epilog=examples("textmill champion sft", "textmill champion last"))(champion)
