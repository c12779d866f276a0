"""model/files.py: a file that was begun and not finished is not there, and the old one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.files import whole_path


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "model.json"
    for text in ("old", "new"):
        with whole_path(path) as part:
            part.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert [found.read_text() for found in path.parent.iterdir()] == [text]


def test_half_a_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_path(path) as part:
        part.open("w", encoding="ascii", buffering=1).writelines(["ne\n", "ü"])
    assert path.read_text() == "old"
    with whole_path(path) as part:
        part.write_text("new")
    assert [found.read_text() for found in tmp_path.iterdir()] == ["new"]
