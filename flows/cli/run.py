"""`textmill run`, `rerun` and `up`: run the pipeline, run one stage again, keep the servers up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import Force, Like, Overrides, RecipeName, Until, in_graph, load, load_or_replay
from flows.cli.console import FAILED, examples, in_sentences, note, program
from flows.cli.next_steps import listed, next_steps
from flows.servers.mlflow_pages import experiments_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flows.cli.next_steps import Step
    from flows.run.start import RunResult


@in_sentences
def run(
    context: typer.Context,
    recipe: RecipeName = "demo",
    overrides: Overrides = None,
    until: Until = None,
    force: Force = None,
    like: Like = None,
) -> None:
    """Run the pipeline: build what the lake does not have, from the crawl to the evaluated model.

    Run it again after an error or Ctrl-C: it continues where it stopped.
    """
    loaded = load_or_replay(context, recipe, overrides, like)
    graph = in_graph(loaded, *(force or ()), *(until or ()))
    from flows.run.start import run_pipeline

    result = run_pipeline(loaded, until or (), force or ())
    again = "--like last" if like is not None or overrides else recipe  # with the same fields as this run
    _tell(result, next_steps(again, graph, until or ()) if result.ok else [])


@in_sentences
def rerun(
    stage: Annotated[str, typer.Argument(metavar="NODE", help="the stage or node to build again")],
    recipe: RecipeName = "demo",
    overrides: Overrides = None,
    downstream: Annotated[bool, typer.Option("--downstream", help="also build what depends on it")] = False,
) -> None:
    """Build one stage again, even if the lake has it. Its inputs are taken from the lake."""
    loaded = load(recipe, overrides)
    made = in_graph(loaded, stage).select(stage)[0].stage.name
    from flows.run.start import rerun_stage

    result = rerun_stage(loaded, stage, downstream, force=True)
    _tell(result, [(f"show {made}", "what it made"), (f"plan {recipe}", "what follows")])


@in_sentences
def up(
    recipe: RecipeName = "demo",
    host: Annotated[
        str, typer.Option(help="address to listen on; beyond loopback, anybody can connect without a password")
    ] = "127.0.0.1",
    prefect_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one")] = 5000,
    chat_port: Annotated[
        int, typer.Option(min=-1, max=65535, help="of the model server with its chat page; 0 = any free one, -1 = none")
    ] = 8000,
) -> None:
    """Start Prefect, MLflow, a server of the lake's models, and all deployments with their schedules, until Ctrl-C.

    If you set PREFECT_API_URL or MLFLOW_TRACKING_URI, that server is used instead.
    """
    load(recipe, None)
    from flows.servers.up import up as keep_up

    models_port = None if chat_port < 0 else chat_port
    code = keep_up(
        recipe, host=host, prefect_port=prefect_port, mlflow_port=mlflow_port, models_port=models_port, echo=note
    )
    if code:
        raise typer.Exit(code)


def _tell(result: RunResult, steps: Iterable[Step]) -> None:
    """Print how a run ended, and where to look next."""
    if not result.ok:
        note(f"\n{result.problem}\nWhat is finished is kept: the same command continues from there.")
        raise typer.Exit(FAILED)
    note("\nNext:")
    for line in listed(steps, program()):
        note(line)
    mlflow = experiments_page(result.mlflow_url) if result.mlflow_url else None
    for name, url in (("Prefect", result.prefect_url), ("MLflow", mlflow), ("Chat", result.chat_url)):
        if url:
            note(f"  {name}: {url}")


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command(
        rich_help_panel="Running",
        epilog=examples(
            "textmill run",
            "textmill run demo --set pretrain.training.steps=500 --set crawl.max_pages=50",
            "textmill run my.yaml --until tokenize",
            "textmill run demo --force dedup",
            "textmill run --like last@d6 --set pretrain.training.steps=500",
        ),
    )(run)
    app.command(
        rich_help_panel="Running",
        epilog=examples("textmill rerun dedup --set dedup.threshold=0.7", "textmill rerun tokenizer --downstream"),
    )(rerun)
    app.command(rich_help_panel="Running", epilog=examples("textmill up", "textmill up nightly --prefect-port 0"))(up)
