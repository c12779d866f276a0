"""Runs the `textmill` program as a user does: another process, its own home, real servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TINY = Path(__file__).with_name("tiny.yaml")
TIMEOUT = 600


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `textmill ...` in a session of its own."""
    environment = {
        k: v for k, v in os.environ.items() if k not in {"PREFECT_LOGGING_TO_API_ENABLED", "PREFECT_API_URL"}
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", *arguments],
        env=environment | {"TEXTMILL_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def textmill(home: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `textmill ...` and check its exit code; no traceback may ever be shown."""
    process = start(home, *arguments)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
    assert "Traceback" not in out + err, err
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def plan(home: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    """`textmill plan ... --json` as {node: row}; a stage with several nodes has the row of the last one too."""
    rows = json.loads(textmill(home, "plan", *arguments, "--json").stdout)["nodes"]
    return {row["stage"]: row for row in rows} | {row["node"]: row for row in rows}


def statuses(home: Path, *arguments: str) -> dict[str, str]:
    """{stage: status} of a plan."""
    return {name: row["status"] for name, row in plan(home, *arguments).items()}


def newest(home: Path, stage: str) -> Path:
    """The folder of a stage's newest artifact."""
    folders = [path.parent for path in (home / "lake" / stage).glob("*/manifest.json")]
    return max(folders, key=lambda folder: (folder / "manifest.json").stat().st_mtime_ns)
