"""The identity of source files: by content, remembered, and never fooled by dates."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.home import Home
from tasks.corpus.crawl import CrawlConfig, fingerprints
from tasks.corpus.crawl.fingerprints import fingerprint_files
from tasks.corpus.crawl.stage import source_fingerprint


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose bytes were read; files count as settled at once."""
    names: list[str] = []
    real = fingerprints._hashes

    def note(files: list[tuple[str, int]]) -> Any:
        names.extend(Path(place).name for place, _ in files)
        return real(files)

    monkeypatch.setattr(fingerprints, "_hashes", note)
    monkeypatch.setattr(fingerprints, "_SETTLED", -1.0)
    return names


def test_identity_follows_content_and_not_dates(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one")
    config = CrawlConfig(paths=(str(path),))
    first = source_fingerprint(config)
    os.utime(path, (1, 1))
    assert source_fingerprint(config) == first
    path.write_text("two")
    assert source_fingerprint(config) != first
    assert source_fingerprint(CrawlConfig()) is None
    assert source_fingerprint(CrawlConfig(server="pydoc")) is not None


def test_a_second_plan_reads_nothing_and_a_changed_file_is_found(tmp_path, hashed):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"text of {name}")
    paths = (str(tmp_path / "*.txt"),)
    first = fingerprint_files(paths)
    assert sorted(hashed) == ["a.txt", "b.txt"]
    hashed.clear()
    assert fingerprint_files(paths) == first
    assert hashed == []
    stat = os.stat(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("TEXT OF a.txt")  # same length ...
    os.utime(tmp_path / "a.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # ... and same date
    assert fingerprint_files(paths) != first
    assert hashed == ["a.txt"]


def test_each_file_has_its_own_hash_however_they_are_grouped(tmp_path, hashed, monkeypatch):
    """Small and large, empty ones and those that stand for more than a group."""
    sizes = [0, 1, 10, 0, 5_000, 3, 100_000, 1, 1, 70_000]
    for number, size in enumerate(sizes):
        (tmp_path / f"{number}.txt").write_bytes(random.Random(number).randbytes(size))
    found = set()
    for files, size, piece in ((256, 8 << 20, 1 << 20), (1, 1, 7), (3, 4_000, 4096), (100, 100_000, 1)):
        monkeypatch.setattr(fingerprints, "_GROUP_FILES", files)
        monkeypatch.setattr(fingerprints, "_GROUP_BYTES", size)
        monkeypatch.setattr(fingerprints, "_PIECE", piece)
        found.add(fingerprint_files((str(tmp_path),), Home(tmp_path / f".home-{files}")))
    assert len(found) == 1
    assert len(hashed) == 4 * len(sizes)
    (tmp_path / "8.txt").write_bytes(b"?")
    assert fingerprint_files((str(tmp_path),)) not in found


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 5_000)
    assert fingerprints._hashes([(str(path), 10)]) == fingerprints._hashes([(str(path), 5_000)])


def test_a_file_written_a_moment_ago_is_not_trusted(tmp_path, hashed, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED", 2.0)
    (tmp_path / "a.txt").write_text("one")
    fingerprint_files((str(tmp_path),))
    fingerprint_files((str(tmp_path),))
    assert hashed == ["a.txt", "a.txt"]


def test_a_broken_cache_or_a_home_that_cannot_be_written_costs_only_time(tmp_path, hashed):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one")
    home = Home(tmp_path / "h")
    first = fingerprint_files((str(tmp_path / "in"),), home)
    (home.run / "source-versions.sqlite").write_bytes(b"this is no database" * 100)
    assert fingerprint_files((str(tmp_path / "in"),), home) == first
    (tmp_path / "file").write_text("a file where the home should be")
    assert fingerprint_files((str(tmp_path / "in"),), Home(tmp_path / "file")) == first


def test_hidden_files_and_remote_ones_do_not_count(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    first = fingerprint_files((str(tmp_path),))
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("changes all the time")
    assert fingerprint_files((str(tmp_path),)) == first
    assert fingerprint_files((str(tmp_path), "https://example.org/a.warc.gz", "s3://bucket/")) == first
