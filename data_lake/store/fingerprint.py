"""Fingerprints: canonical JSON of values, and the bytes of files, both as sha256."""

from __future__ import annotations

import datetime
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def canonical(value: Any, where: str = "value") -> Any:
    """Return `value` as plain JSON data that has the same form for equal values.

    Raises TypeError, naming the place, for any type it does not know: falling back to str() or pickle could give one
    value two fingerprints in two processes (as sets and default reprs do), and the cache would be silently wrong.
    """
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{where} is {value}, which has no canonical form; use a finite number or null.")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, enum.Enum):
        return canonical(value.value, where)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, Mapping):
        bad = [key for key in value if not isinstance(key, str)]
        if bad:
            raise TypeError(f"{where} has the key {bad[0]!r}; only text keys have a canonical form.")
        return {key: canonical(value[key], f"{where}.{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        items = [canonical(item, f"{where}{{}}") for item in value]
        return {"set": sorted(items, key=lambda item: json.dumps(item, sort_keys=True))}
    raise TypeError(
        f"{where} is a {type(value).__name__}, which has no canonical form; "
        "use numbers, text, lists, mappings, paths, dates or enums in a config."
    )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value` (sorted keys, no spaces, ASCII)."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_of(value: Any) -> str:
    """Return the sha256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
