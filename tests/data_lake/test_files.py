"""A file is whole, the old one, or not there; what a kill left is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.files import whole_file, write_whole


def test_a_file_appears_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.bin"
    with whole_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert list(path.parent.iterdir()) == [path]


def test_a_fault_leaves_the_old_file_and_the_next_attempt_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_whole(path, "älter")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", None])
    assert path.read_text("utf-8") == "älter"
    write_whole(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("file.json", "new")]
