"""The manifest: what an artifact is, where it came from, and how to check it."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from data_lake.store.gain import Gain

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 2**20
KEY_LENGTH = 16
"""Hex digits of a key in names and folders."""


class FileEntry(BaseModel):
    """Size (bytes) and sha256 (hex) of one file of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    size: int
    sha256: str


class InputEntry(BaseModel):
    """An artifact that was read: the stage that made it, its key, and the fingerprint of its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    key: str
    content: str

    @property
    def name(self) -> str:
        """`stage/key`, the short name of the artifact."""
        return f"{self.stage}/{self.key[:KEY_LENGTH]}"


class Manifest(BaseModel):
    """Everything that is known about one artifact. Without a manifest there is no artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1, 2] = 2
    stage: str
    kind: str = ""
    """What it is, whichever stage made it: a name of tasks.stage.kinds; "" in format 1."""
    key: str
    version: int
    payload: dict[str, Any]
    execution: dict[str, Any] = {}
    content: str
    inputs: dict[str, InputEntry] = {}
    """By role: what the artifact was to the stage that read it; `against[0]`, `against[1]` where a role has several."""
    files: dict[str, FileEntry]
    counts: dict[str, int] = {}
    metrics: dict[str, float | None] = {}
    gain: Gain | None = None
    ledger: dict[str, Any] | None = None
    reason: str
    runs: dict[str, str] = {}
    provenance: dict[str, Any] = {}
    adopted_from: str | None = None
    started_at: datetime.datetime
    finished_at: datetime.datetime
    seconds: float

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())


class ManifestError(Exception):
    """A manifest that cannot be read; the message says what is wrong with it."""


def sealed(manifest: Manifest) -> str:
    """The text of `manifest.json`: the manifest and a sha256 over the rest of it, so that a flipped byte is noticed."""
    raw = json.loads(manifest.model_dump_json())
    return json.dumps({**raw, "sha256": _seal(raw)}, indent=1, ensure_ascii=False)


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `folder/manifest.json`.

    Raises FileNotFoundError if there is none, ManifestError if any byte of it is wrong.
    """
    path = folder / MANIFEST_NAME
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes, so it cannot be a manifest.")
    try:
        raw = json.loads(path.read_bytes())
        seal = raw.pop("sha256")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ManifestError("its manifest.json cannot be read: it is not a complete manifest") from error
    if seal != _seal(raw):
        raise ManifestError("its manifest.json changed since it was committed")
    try:
        return Manifest.model_validate(_with_inputs(raw))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ManifestError(f"its manifest.json cannot be read: {field}: {first['msg']}") from error


def _with_inputs(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of format 1, which had one input of each stage and no roles, with its stages as the roles."""
    if raw.get("format") != 1 or "inputs" in raw:
        return raw
    rest = {name: value for name, value in raw.items() if name != "upstream"}
    return rest | {"inputs": {stage: {"stage": stage, **entry} for stage, entry in raw.get("upstream", {}).items()}}


def _seal(raw: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
