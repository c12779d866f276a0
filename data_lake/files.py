"""Files that are complete or absent, even after a kill or a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

SHAPES_NO_RESULT = "lets files appear whole, whatever stands in them"


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """Open a file that appears under its name once everything is written, and not at all after an exception.

    For files with one writer, such as those of a stage: what a kill leaves behind has a fixed name, so the next attempt
    replaces it. A leftover with a unique name would become a file of the artifact.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with open(part, mode, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def write_whole(path: Path, text: str) -> None:
    """Write a UTF-8 text as a whole file."""
    with whole_file(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """Write `text` to `path` so that nobody ever sees half of it, even if several processes do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
