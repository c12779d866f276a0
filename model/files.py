"""Atomic file writes: a model's file is complete or absent, even after a kill or a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SHAPES_NO_RESULT = "lets files appear whole, whatever stands in them"


@contextlib.contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it is renamed to `path` once all of it is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    yield part
    flush(part)
    os.replace(part, path)


def flush(path: Path) -> None:
    """Wait until the file or folder is on disk, so that a rename never survives a crash that its content does not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
