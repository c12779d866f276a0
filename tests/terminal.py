"""The command line in this process, as tests of its verbs use it."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner

from flows.cli.main import app


def textmill(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
    """Run a command that is to end with `code`; returns stdout, or stderr where it is to fail."""
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == code, done.output
    return done.stderr if code else done.stdout


def notes(*arguments: str) -> str:
    """What a command that succeeds says beside its output."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stderr


def data(*arguments: str) -> Any:
    """What a command prints with --json."""
    return json.loads(textmill(*arguments, "--json"))
