"""What crawl.paths stands for: folders with what lies in them, patterns, lists; names without a machine's folders.

Also covers: tasks/corpus/crawl/source_files.py
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Lake
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.crawl.fingerprints import fingerprint_files
from tasks.corpus.crawl.source_files import NoSuchSource, find_local
from tasks.corpus.crawl.sources import find_sources


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
        "deep/loop/": "linked_folder",
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


def test_what_a_pattern_names_and_cannot_be_read_is_a_row(tmp_path):
    plant(tmp_path, "x/a.txt")
    (tmp_path / "x" / "dead.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "x" / "pipe.txt")
    for pattern in ("**/*", "x/*.txt", "*/*"):
        found = find_local((str(tmp_path / pattern),))
        assert [(Path(file.name).name, file.problem) for file in found] == [
            ("a.txt", None),
            ("dead.txt", "unreadable_file"),
            ("pipe.txt", "unreadable_file"),
        ]


def test_links_to_folders_are_followed_once(tmp_path):
    plant(tmp_path, "corpus/a.txt", "corpus/b/c.txt", "elsewhere/d.txt", "elsewhere/e/f.txt")
    corpus = tmp_path / "corpus"
    (corpus / "0").symlink_to(corpus / "b")  # before b in order, and yet b keeps its name
    (corpus / "more").symlink_to(tmp_path / "elsewhere")
    (corpus / "more2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(corpus)
    for pattern in (str(corpus), str(corpus / "**"), str(corpus / "**" / "*.txt")):
        assert {file.name: file.problem for file in find_local((pattern,))} == {
            "a.txt": None,
            "b/c.txt": None,
            "more/d.txt": None,
            "more/e/f.txt": None,
            "0/": "linked_folder",
            "more2/": "linked_folder",
            "more/back/": "linked_folder",
        }


def test_links_to_the_folder_they_lie_in_end(tmp_path):
    """Two of them would make 2^40 paths, as the system follows 40 links in a row."""
    plant(tmp_path, "x/a.txt", "x/y/b.txt")
    for name in ("one", "two", "y/three"):
        (tmp_path / "x" / name).symlink_to(tmp_path / "x")
    for pattern in ("**/*.txt", "x/**", "**/y/**/*.txt", "**/x/**", "*/**/**/*"):
        found = find_local((str(tmp_path / pattern),))
        names = [Path(os.path.realpath(file.place)).name for file in found if file.problem is None]
        assert sorted(names) == ["a.txt", "b.txt"], pattern


def test_patterns_are_a_shells(tmp_path, monkeypatch):
    plant(tmp_path, "a.txt", "b/c.txt", "b/.d.txt", ".e/f.txt", "[v2]/g.txt", "v/h.txt", "b/i/j.md")
    monkeypatch.chdir(tmp_path)
    expected = {
        "*.txt": ["a.txt"],
        "**/*.txt": ["[v2]/g.txt", "a.txt", "b/c.txt", "v/h.txt"],
        "./**/*.md": ["b/i/j.md"],
        "b/**": ["c.txt", "i/j.md"],
        "b/.*": [".d.txt"],
        "[v2]/*.txt": ["[v2]/g.txt", "v/h.txt"],
        "[v2]/g.txt": ["g.txt"],
        "?/*.txt": ["b/c.txt", "v/h.txt"],
        "**/i/**/*": ["b/i/j.md"],
    }
    for pattern, names in expected.items():
        assert [file.name.removeprefix("./") for file in find_local((pattern,))] == names, pattern


def test_names_of_files_with_brackets_and_without_utf8(tmp_path):
    plant(tmp_path, "a[1].txt")
    assert [file.name for file in find_local((str(tmp_path / "a[1].txt"),))] == ["a[1].txt"]
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt"), "wb") as file:
        file.write(b"x")
    names = [file.name for file in find_local((str(tmp_path),))]
    assert names == ["a[1].txt", "caf\\xe9.txt"]
    assert all(name.encode() for name in names)


def test_files_whose_names_are_no_utf8_are_read_in_every_format(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"sub\xff")
    os.mkdir(folder)
    table = io.BytesIO()
    pq.write_table(pa.table({"text": ["t"]}), table)
    contents = {
        b"a\xe9.txt": b"t",
        b"b\xe9.jsonl.gz": gzip.compress(b'{"text": "t"}'),
        b"c\xe9.csv.zst": pa.compress(b"text\nt\n", "zstd", asbytes=True),
        b"d\xe9.parquet": table.getvalue(),
        b"e\xe9.warc.gz": gzip.compress(b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 1\r\n\r\nt\r\n\r\n"),
    }
    for name, data in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    lake, spelled = Lake(tmp_path / "lake"), os.fsdecode(folder)
    patterns = (f"{spelled}/", f"{spelled}/*", f"{tmp_path}/**/*\udce9*", f"{tmp_path}/*/*.gz")
    for number, pattern in enumerate(patterns):
        config = CrawlConfig(paths=(pattern,), mime=("text/plain", "text/html"))
        assert fingerprint_files(config.paths, Home(tmp_path / "home"))
        found = crawl.build(lake, config, {}).artifact
        assert found.counts["pages"] == found.counts["urls"] == (2 if number == 3 else 5), pattern
    with pytest.raises(NoSuchSource):
        find_local((str(tmp_path / "sub*"),))  # a pattern that names a folder names no file


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
