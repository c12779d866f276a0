"""Terminal output, all of it: text by users and web pages is printed as text, never as markup or control codes."""

from __future__ import annotations

import functools
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

# Control characters except newline and tab: they move the cursor, change colours and titles, or make the terminal send
# responses. Also the marks that reverse the direction of text, which make a line read as something else.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Those of them that JSON does not escape.
_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with each character that would control the terminal replaced by a dot."""
    return _CONTROLS.sub("·", text.replace("\r\n", "\n"))


def visible_json(text: str) -> str:
    """Return equivalent JSON with such characters escaped."""
    return _IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def log(text: str) -> None:
    """Print a line for people on stderr, so that stdout stays clean for data."""
    print(visible(text), file=sys.stderr, flush=True)


def write(text: str, *, flush: bool = False) -> None:
    """Write data to stdout: exactly to a pipe or file, without control sequences to a terminal."""
    sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    if flush:
        sys.stdout.flush()


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console on which every str is shown literally, also in a table's cells, headers and titles.

    Text with a style has to be a `rich.text.Text`.
    """
    return _plain_console()(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


@functools.cache
def _plain_console() -> type[Console]:
    from rich.console import Console
    from rich.text import Text

    class PlainConsole(Console):
        """A console that never parses markup, whatever the caller of `render_str` asks for."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    return PlainConsole


def progress_bar() -> Progress:
    """Return a progress bar on stderr; its tasks have the fields `amount` and `note`."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("  {task.description:<10}", style="bold", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console(stderr=True),
        transient=True,
    )
