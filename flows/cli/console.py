"""The terminal: data on stdout, notes on stderr, errors as one sentence with the right exit code."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import typer

from flows.cli.signals import Terminated
from tasks.tracking.terminal import console, visible_json, write
from tasks.tracking.terminal import log as note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
MAX_CELL = 300  # characters of a cell in a table for people; --json and --csv cut nothing
PIPE_WIDTH = 200  # a table in a pipe has no terminal to fit into

P = ParamSpec("P")
R = TypeVar("R")


class UserError(Exception):
    """Something that the user asked for and that is not possible; the message says what to do instead."""


def output() -> Console:
    """The console for data: stdout."""
    return console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def print_json(data: Any) -> None:
    """Print data for programs: JSON, and nothing else on stdout."""
    write(json_text(data, indent=2) + "\n")


def json_text(data: Any, indent: int | None = None) -> str:
    """Return data as JSON, without NaN and without characters that would control a terminal."""
    return visible_json(json.dumps(data, indent=indent, ensure_ascii=False, default=str, allow_nan=False))


def table(title: str, columns: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns in `numbers` are right-aligned and never cut."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        if column in numbers:
            made.add_column(column, justify="right", no_wrap=True)
        else:
            made.add_column(column, overflow="fold")
    return made


def plain_text(text: str, limit: int = MAX_CELL) -> Text:
    """Literal text: what comes from web pages must neither be parsed as markup nor move the cursor."""
    from rich.text import Text

    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"
    return Text("".join(c if c == "\n" or c.isprintable() else "·" for c in cut))


def styled(text: str, style: str) -> Text:
    """Our own words in a style."""
    from rich.text import Text

    return Text(text, style=style)


def in_sentences(command: Callable[P, R]) -> Callable[P, R]:
    """Turn every error of a command into a sentence on stderr and an exit code: 2 for what the user can correct in the
    command or the recipe, 1 for what failed, 130 for Ctrl-C, 143 for SIGTERM."""

    @functools.wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return command(*arguments, **named)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except KeyboardInterrupt as stop:
            how = f"{stop}." if isinstance(stop, Terminated) else "Stopped."
            note(f"\n{how} What is finished is kept; the same command continues from there.")
            raise typer.Exit(128 + stop.number if isinstance(stop, Terminated) else INTERRUPTED) from None
        except Exception as error:
            _fail(error)

    return run


def _fail(error: Exception) -> NoReturn:
    from data_lake.reading.catalog import QueryError
    from data_lake.store.home import Home, HomeError, explain
    from flows.recipe.errors import RecipeError

    if isinstance(error, RecipeError | UserError | QueryError):
        note(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    if isinstance(error, HomeError):
        note(error.strerror or str(error))
    elif isinstance(error, OSError) and error.errno is not None:
        note(explain(error, Home.from_env().root))
    elif isinstance(error, SyntaxError) and error.filename:
        note(f"{error.filename}, line {error.lineno}, is not Python: {error.msg}. Correct it and run this again.")
    elif type(error).__module__.partition(".")[0] in ("flows", "tasks", "data_lake", "model"):
        note(str(error))  # our own errors are full sentences already
    else:
        note(f"textmill met an unexpected error: {type(error).__name__}: {error}{_kept_traceback(error)}")
    raise typer.Exit(FAILED) from error


def _kept_traceback(error: Exception) -> str:
    """Write the traceback to a file for a bug report; return a sentence that says where."""
    import traceback

    from data_lake.store.home import Home

    with contextlib.suppress(OSError):
        logs = Home.from_env().logs
        logs.mkdir(parents=True, exist_ok=True)
        path = logs / f"fault-{os.getpid()}.txt"
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="replace")
        return f"\nIts traceback is in {path}."
    return ""


def program() -> str:
    """Return what the user has to type to call this program again: `textmill`, or its path if it is not on PATH."""
    called = Path(sys.argv[0])
    found = shutil.which("textmill")
    if called.name != "textmill" or (found and Path(found).resolve() == called.resolve()):
        return "textmill"
    return os.path.relpath(called) if called.is_absolute() and Path.cwd() in called.parents else str(called)


def examples(*commands: str) -> str:
    """Return the closing lines of a command's --help: one example per line."""
    return "\n".join(["Examples:", *(f"$ {command}" for command in commands)])
