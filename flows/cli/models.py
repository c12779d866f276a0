"""`textmill generate` and `champion`: using models, and choosing one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from data_lake.store.home import Home
from data_lake.store.lake import Miss
from flows.cli.arguments import find_artifact, lake
from flows.cli.console import UserError, examples, in_sentences, note, write

if TYPE_CHECKING:
    from data_lake.store.lake import Artifact


@in_sentences
def generate(
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="a model: sft or pretrain (the newest), or stage/key")
    ],
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="the question, or the text to continue; - reads stdin")
    ],
    max_tokens: Annotated[int, typer.Option(min=1, help="largest number of tokens of the answer")] = 120,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 = always the most likely token")] = 0.0,
    top_k: Annotated[int, typer.Option(min=0, help="sample from the k most likely tokens; 0 = from all")] = 0,
    top_p: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="sample from the most likely tokens that together reach this probability"),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="seed of the sampling")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
) -> None:
    """Let a model answer a question (sft) or continue a text (pretrain)."""
    if top_p == 0:
        raise UserError("--top-p 0 leaves no token to sample; give a value above 0, or --temperature 0.")
    found = find_artifact(artifact)
    if not any(name.endswith("model.safetensors") for name in found.files):
        raise UserError(
            f"{found.name} has no model; name an artifact of pretrain or sft, as in: textmill generate sft …"
        )
    text = sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise UserError("The prompt is empty; give the model something to answer or to continue.")
    if isinstance(checked := lake().lookup(found.stage, found.key), Miss):
        raise UserError(f"{found.name} cannot be used: {checked.reason}. `textmill run` builds it again.")
    from tasks.delivery.generation import generate_text

    said: list[str] = []
    pieces = generate_text(
        found,
        text,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        device=device,
        warn=said.append,
    )
    try:
        for piece in pieces:
            write(piece, flush=True)
    except ValueError as error:
        raise UserError(str(error)) from error
    write("\n")
    for sentence in said:
        note(sentence)


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
    app.command(
        rich_help_panel="Models",
        epilog=examples(
            'textmill generate sft "What does textwrap.dedent do?"',
            'textmill generate pretrain "The module " --temperature 0.8 --top-k 40 --seed 1',
        ),
    )(generate)
    app.command(rich_help_panel="Models", epilog=examples("textmill champion sft", "textmill champion last"))(champion)
