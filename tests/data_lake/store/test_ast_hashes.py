"""What is remembered of sources is what would be computed, also when the file is damaged or cannot be there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.ast_hashes import AstHashes
from data_lake.store.python_source import describe_source

SOURCES = [b"x = 1\n", b"x = 2\n", "# \u00fc\ny = 'z'\n".encode()]


def never(source: bytes) -> str:
    raise AssertionError(f"computed again: {source!r}")


def remembered(path: Path) -> list[str]:
    hashes = AstHashes(path)
    found = [hashes.get(source, describe_source) for source in SOURCES]
    hashes.save()
    return found


def test_what_was_saved_is_not_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "code.json"
    found = remembered(path)
    assert found == [describe_source(source) for source in SOURCES]
    again = AstHashes(path)
    assert [again.get(source, never) for source in SOURCES] == found
    with pytest.raises(AssertionError, match="computed again"):
        again.get(b"x = 3\n", never)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(json.loads(text)["sha256"], "0" * 64),
        lambda text: json.dumps({**json.loads(text), "hashes": dict.fromkeys(json.loads(text)["hashes"], "0" * 16)}),
        lambda _: "[]",
        lambda _: '{"hashes": 3, "sha256": null}',
    ],
)
def test_a_damaged_file_is_computed_anew(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "code.json"
    found = remembered(path)
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    assert remembered(path) == found
    again = AstHashes(path)
    assert [again.get(source, never) for source in SOURCES] == found


def test_without_a_home_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "code.json"
    assert remembered(path) == remembered(path)
    assert not path.parent.exists()
