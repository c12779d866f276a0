"""What the processes of one home tell each other: small JSON files beside locks that die with their holders."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_lake.files import write_whole
from data_lake.home import Home
from data_lake.locks import try_lock


class ServerError(RuntimeError):
    """A server cannot be reached or started; the message is a sentence for the user."""


def read_state(path: Path) -> dict[str, Any] | None:
    """The JSON object in a state file, None where there is none."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return None


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a state file so that a reader sees the old or the new content, never half of it."""
    write_whole(path, json.dumps(content), durable=False, concurrent=True)


def living_state(home: Home, name: str) -> dict[str, Any] | None:
    """The content of run/<name>.json while a living process holds run/<name>.lock."""
    if not (home.run / f"{name}.lock").exists():
        return None
    held = try_lock(home.run / f"{name}.lock", shared=True)
    if held is not None:
        os.close(held)
        return None
    return read_state(home.run / f"{name}.json")
