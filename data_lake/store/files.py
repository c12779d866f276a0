"""Files that are complete or absent, even after a kill or a power cut."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

SHAPES_NO_RESULT = "lets files appear whole, whatever stands in them"


def part_path(path: Path) -> Path:
    """Return the name that a file has until it is whole."""
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def whole_file(
    path: Path, mode: str = "wb", *, durable: bool = True, concurrent: bool = False, **options: Any
) -> Iterator[IO[Any]]:
    """Open a file that appears under its name once everything is written, and not at all after an exception.

    What a kill leaves behind has a fixed name, so the next attempt replaces it. A leftover with a unique name would
    become a file of the artifact. concurrent: several processes or threads may write the file at once, and the last one
    counts; not for files of an artifact. durable: wait until the disk has it; if not, a power cut may break the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_path(path)
    if concurrent:
        part = part.with_name(f"{part.name}-{os.getpid()}-{threading.get_native_id()}")
    try:
        with open(part, mode, **options) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, path)


def write_whole(path: Path, text: str, *, durable: bool = True, concurrent: bool = False) -> None:
    """Write a UTF-8 text as a whole file."""
    with whole_file(path, "w", durable=durable, concurrent=concurrent, encoding="utf-8") as file:
        file.write(text)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line; the file appears complete or not at all."""
    with whole_file(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
