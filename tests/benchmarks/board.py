"""The board of measurements: every benchmark writes its rows here, ours beside the rivals of the same run.

`.bench/<board>.json` maps a name to {ours, rivals: {name: value}, ratio, unit}; `ratio` says how many times better we
are than the best rival, whichever way better is. Rows of earlier runs stay until they are measured again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

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
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[name] = {"ours": ours, "rivals": rivals, "ratio": ratio, "unit": unit}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(rows, indent=1, sort_keys=True))
    os.replace(part, path)
    return ratio
