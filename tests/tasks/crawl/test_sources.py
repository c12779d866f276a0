"""What crawl.paths stands for: folders with what lies in them, patterns, lists; names without a machine's folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.crawl import CrawlConfig
from tasks.crawl.sources import NoSuchSource, find_local, find_sources


def plant(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_names_do_not_hold_the_machines_folders(tmp_path):
    for name in ("x/a.txt", "x/deep/b.txt", "y/a.txt", "x/picture.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = find_local((str(tmp_path / "x"), str(tmp_path / "y" / "*.txt"), str(tmp_path / "x" / "a.txt")))
    assert [(file.name, Path(file.place).relative_to(tmp_path).as_posix(), file.problem) for file in found] == [
        ("a.txt", "x/a.txt", None),
        ("a.txt~2", "y/a.txt", None),
        ("deep/b.txt", "x/deep/b.txt", None),
        ("picture.png", "x/picture.png", "unknown_type"),
    ]
    with pytest.raises(NoSuchSource, match=r"nothing-\*"):
        find_local((str(tmp_path / "nothing-*"),))


def test_a_folder_counts_what_it_does_not_read(tmp_path):
    plant(tmp_path, "a.txt", ".hidden.txt", ".git/config", "deep/.secret/x.txt", "deep/b.md", "deep/run.exe", "page")
    (tmp_path / "page").write_text("<!DOCTYPE html><html><p>a page without a suffix</p></html>")
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)  # a folder of itself
    os.mkfifo(tmp_path / "pipe.txt")
    assert {file.name: file.problem for file in find_local((str(tmp_path),))} == {
        "a.txt": None,
        "page": None,
        "deep/b.md": None,
        ".hidden.txt": "hidden",
        ".git/": "hidden",
        "deep/.secret/": "hidden",
        "deep/run.exe": "unknown_type",
        "dead": "unreadable_file",
        "pipe.txt": "unreadable_file",
    }


def test_a_recursive_pattern_sweeps_and_a_plain_one_chooses(tmp_path):
    plant(tmp_path, "x/a.txt", "x/b.exe", "x/y/c.txt", "x/y/d.exe")
    swept = find_local((str(tmp_path / "**"),))
    assert {file.name: file.problem for file in swept} == {
        "x/a.txt": None,
        "x/b.exe": "unknown_type",
        "x/y/c.txt": None,
        "x/y/d.exe": "unknown_type",
    }
    assert [(file.name, file.problem) for file in find_local((str(tmp_path / "x" / "*"),))] == [
        ("a.txt", None),
        ("b.exe", None),  # it was named, so reading it says what is wrong with it
    ]


def test_names_of_files_with_brackets_and_without_utf8(tmp_path):
    plant(tmp_path, "a[1].txt")
    assert [file.name for file in find_local((str(tmp_path / "a[1].txt"),))] == ["a[1].txt"]
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt"), "wb") as file:
        file.write(b"x")
    names = [file.name for file in find_local((str(tmp_path),))]
    assert names == ["a[1].txt", "caf�.txt"]
    assert all(name.encode() for name in names)


def test_one_file_under_two_names_is_read_once(tmp_path):
    plant(tmp_path, "a.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    assert len(find_local((str(tmp_path),))) == 1


def test_a_local_list_takes_files_evenly(tmp_path):
    plant(tmp_path, *(f"data/{number}.txt" for number in range(10)))
    (tmp_path / "files.paths").write_text("".join(f"{number}.txt\n" for number in range(10)))
    config = CrawlConfig(
        paths=(str(tmp_path / "files.paths"),), path_lists={"base": str(tmp_path / "data"), "files": 4}
    )
    assert [file.name for file in find_sources(config, tmp_path)] == ["0.txt", "2.txt", "5.txt", "7.txt"]
    (tmp_path / "files.paths").write_text("\n# nothing\n")
    with pytest.raises(NoSuchSource, match="names no file"):
        find_sources(config, tmp_path)
