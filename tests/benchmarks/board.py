"""The board of measurements: every benchmark writes its rows here, ours beside the rivals of the same run.

`.bench/<board>.json` maps a name to {ours, rivals: {name: value}, ratio, unit}; `ratio` says how many times better we
are than the best rival, whichever way better is. Rows of earlier runs stay until they are measured again.
`python -m tests.benchmarks.board data` prints a board as a table.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".bench"


def record(
    name: str,
    ours: float,
    rivals: Mapping[str, float] | None = None,
    *,
    unit: str,
    board: str = "data",
    more_is_better: bool = True,
) -> float | None:
    """Write one row of .bench/<board>.json; returns the ratio to the best rival, None where there is no rival."""
    rivals = dict(rivals or {})
    ratio = None
    if rivals:
        best = max(rivals.values()) if more_is_better else min(rivals.values())
        above, below = (ours, best) if more_is_better else (best, ours)
        ratio = above / below if below else None
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{board}.json"
    rows = read(board)
    rows[name] = {"ours": ours, "rivals": rivals, "ratio": ratio, "unit": unit}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(rows, indent=1, sort_keys=True))
    os.replace(part, path)
    return ratio


def read(board: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a board by name; {} where nothing was measured."""
    path = FOLDER / f"{board}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def show(board: str) -> None:
    """Print a board: ours, every rival, and how many times better we are than the best of them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{board}: textmill and its rivals, measured in one run", box=box.SIMPLE_HEAD, title_justify="left"
    )
    table.add_column("measurement")
    for column in ("textmill", "rivals", "ratio"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for name, row in sorted(read(board).items()):
        rivals = "\n".join(f"{rival} {_number(value)}" for rival, value in sorted(row["rivals"].items()))
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} ×"
        table.add_row(name, _number(row["ours"]), rivals, ratio, row["unit"], end_section=bool(rivals))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table if table.row_count else f"Nothing of {board} was measured yet.")


def _number(value: float) -> str:
    """Three digits that matter, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    show(*sys.argv[1:] or ["data"])
