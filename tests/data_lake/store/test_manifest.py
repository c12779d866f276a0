"""data_lake/store/manifest.py: what is written is read again, and so is what an older textmill wrote."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from data_lake.store.manifest import MANIFEST_NAME, ManifestError, read_manifest, sealed
from tests.lakes import small_lake


def test_a_manifest_of_format_1_is_read_with_its_stages_as_roles(tmp_path: Path) -> None:
    clean = small_lake(tmp_path / "lake").artifacts("clean")[0]
    raw = json.loads(sealed(clean.manifest))
    del raw["sha256"]
    (entry,) = raw.pop("inputs").values()
    old = {**raw, "format": 1, "upstream": {"crawl": {"key": entry["key"], "content": entry["content"]}}}
    old["sha256"] = hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(old))
    read = read_manifest(tmp_path)
    assert read.format == 1
    assert [(role, found.name) for role, found in read.inputs.items()] == [("crawl", f"crawl/{entry['key'][:16]}")]
    assert read.payload == clean.manifest.payload


def test_a_changed_byte_and_an_unknown_format_are_no_manifest(tmp_path: Path) -> None:
    clean = small_lake(tmp_path / "lake").artifacts("clean")[0]
    path = tmp_path / MANIFEST_NAME
    path.write_text(sealed(clean.manifest).replace('"seconds": 1.5', '"seconds": 1.6'))
    with pytest.raises(ManifestError, match="changed since it was committed"):
        read_manifest(tmp_path)
    raw = json.loads(sealed(clean.manifest))
    del raw["sha256"]
    raw["format"] = 9
    raw["sha256"] = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(raw))
    with pytest.raises(ManifestError, match="format"):
        read_manifest(tmp_path)
