"""Patterns of files as regexes, for places that are listed; tests of crawl match them on a disk."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from tasks.stage.file_patterns import as_name, as_regex, as_text, matching

NAMES = (
    "a.txt",
    "b/a.txt",
    "b/c/a.txt",
    "b/.hidden/a.txt",
    ".a.txt",
    "b/[v2].txt",
    "b/v.txt",
    "b/x+y(1).md",
    "bb/a.txt",
)
PATTERNS = (
    *("*.txt", "*/*.txt", "b*/*", "**/*.txt", "**", "b/**", "b/**/a.txt", "?/?.txt", "b/[!u-w].txt", "b/[a-z].txt"),
    *("**/c/*", "b/x+y(*).md", ".*", "*/.hidden/*", "b/[[]v2].txt", "b/?*", "**/**/a.txt", "b**/a.txt", "nothing*"),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_place_that_is_listed_is_matched_as_a_disk_is(tmp_path: Path, monkeypatch, pattern: str) -> None:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    theirs = sorted({name for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)})
    assert matching(pattern) == theirs
    assert sorted(name for name in NAMES if as_regex(pattern).match(name)) == theirs


def test_bytes_that_are_no_utf8_are_spelled_out() -> None:
    name = os.fsdecode(b"caf\xe9/\xff.txt")
    assert as_text(name) == r"caf\xe9/\xff.txt"
    assert as_name(as_text(name)) == name
    assert as_text("Grüße") == as_name("Grüße") == "Grüße"
