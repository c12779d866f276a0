"""Alpaca files: a user's own instruction pairs as JSON or JSON lines; what cannot be used is kept with its reason."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.stage import PermanentError


@dataclass(frozen=True)
class Record:
    """One record of a file: a pair, or the reason why it is none, with what stood there."""

    place: str
    pair: dict[str, str] | None
    reason: str = ""
    raw: str = ""


def alpaca_files(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the paths and globs name, sorted; PermanentError for one that names none."""
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True) if Path(match).is_file())
        if not matches:
            raise PermanentError(f"sft.data names {pattern!r}, but no file matches; paths start at {Path.cwd()}.")
        found += matches
    return found


def read_alpaca(path: Path) -> Iterator[Record]:
    """Yield every record of a .json list or a file of JSON lines."""
    text = path.read_bytes().decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text)
        except ValueError as error:
            raise PermanentError(f"{path} begins as a JSON list but is not valid JSON ({error}); repair it.") from error
        for number, item in enumerate(items, start=1):
            yield check(f"{path.name}#{number}", item)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{path.name}:{number}"
            try:
                item = json.loads(line)
            except ValueError as error:
                yield Record(place, None, f"not valid JSON: {error}", line)
            else:
                yield check(place, item)


def check(place: str, item: Any) -> Record:
    """Return the record of one parsed item: {"instruction": text, "input": text or missing, "output": text}."""
    raw = json.dumps(item, ensure_ascii=False)
    if not isinstance(item, dict):
        return Record(place, None, f"is a {type(item).__name__}, not an object", raw)
    for name in ("instruction", "output"):
        value = item.get(name)
        if not isinstance(value, str) or not value.strip():
            return Record(place, None, f"{name} is {'missing' if name not in item else 'no text or empty'}", raw)
    given = item.get("input") or ""
    if not isinstance(given, str):
        return Record(place, None, f"input is a {type(given).__name__}, not a text", raw)
    pair = {"instruction": item["instruction"].strip(), "input": given.strip(), "output": item["output"].strip()}
    return Record(place, pair)
