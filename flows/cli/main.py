"""The command line: `textmill VERB`. Verbs live in flows/cli; nothing heavy is imported until a verb needs it."""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from flows.cli import (
    ask,
    chat,
    classify,
    compare,
    deploy,
    evaluate,
    export,
    generate,
    lake,
    ledger,
    plan,
    promote,
    recipe,
    run,
    sample,
    serve,
    sql,
)
from flows.cli.console import examples
from flows.cli.signals import raise_on_signals
from flows.servers.proxies import around_proxies

app = typer.Typer(
    name="textmill",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "textmill run demo",
        "textmill plan demo --set pretrain.training.steps=500",
        "textmill show evaluate",
        "textmill up",
    ),
)
_VERBS = (
    (run, plan, recipe, deploy), (lake, ledger, sample, sql),
    (generate, ask, chat, classify, serve, compare, promote, evaluate, export),
)  # fmt: skip
for verbs in (verb for group in _VERBS for verb in group):
    verbs.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"textmill {version('textmill')}")
        raise typer.Exit


@app.callback()
def textmill(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Grow a language model from raw web pages: one orchestrated, cached, resumable pipeline.

    Everything is kept under $TEXTMILL_HOME (default: ./.textmill).
    """


def main() -> None:
    """Run the command line; flows/cli/entry.py calls it."""
    raise_on_signals()
    # Set before any library reads them, so that all our processes agree.
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.update(around_proxies(os.environ))
    # A page's text may contain characters that the terminal cannot encode; that must not end a command.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    # Prefect, MLflow and pydantic create a million permanent objects; scanning them for garbage again and again takes a
    # tenth of a cached run (4.6 → 4.0 s of processor time).
    gc.set_threshold(100_000, 50, 100)
    app()


if __name__ == "__main__":
    main()
