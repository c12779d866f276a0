"""State shared by the processes of one home: small JSON files, each with a lock that ends with its holder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_lake.store.files import write_whole
from data_lake.store.home import Home
from data_lake.store.locks import try_lock


class ServerError(RuntimeError):
    """A server cannot be reached or started; the message tells the user why."""


def read_state(path: Path) -> dict[str, Any] | None:
    """The JSON object in a state file, None if there is none."""
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return None


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write a state file so that a reader sees either the old or the new content."""
    write_whole(path, json.dumps(content), durable=False, concurrent=True)


def living_state(home: Home, name: str) -> dict[str, Any] | None:
    """The content of run/<name>.json while a running process holds run/<name>.lock."""
    if not (home.run / f"{name}.lock").exists():
        return None
    held = try_lock(home.run / f"{name}.lock", shared=True)
    if held is not None:
        os.close(held)
        return None
    return read_state(home.run / f"{name}.json")
