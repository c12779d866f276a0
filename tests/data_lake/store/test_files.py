"""A file is whole, the old one, or not there; what a kill left is replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_lake.store.files import whole_file, write_whole


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
    assert list(tmp_path.iterdir()) == [path], "half a file takes no disk"
    write_whole(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("file.json", "new")]


def test_of_many_writers_at_once_one_counts_and_readers_see_no_half_of_it(tmp_path: Path) -> None:
    path, texts = tmp_path / "state.json", [letter * 200_000 for letter in "abcdefgh"]

    def write(text: str) -> None:
        for _ in range(5):
            write_whole(path, text, durable=False, concurrent=True)
            assert path.read_text() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(write, texts))
    assert list(tmp_path.iterdir()) == [path]
