"""Files of the user: found by globs, read as lists, part of the stage's identity."""

from __future__ import annotations

import pytest

from tasks.corpus.clean import CleanConfig
from tasks.corpus.clean.user_files import files, lines, source_fingerprint
from tasks.stage import PermanentError


def test_lists(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffone\n\n# a comment\n two words \n", "utf-8")
    (tmp_path / "b.txt").write_text("three")
    assert list(lines([str(tmp_path / "*.txt")], "field")) == ["one", "two words", "three"]
    assert len(files([str(tmp_path / "*.txt"), str(tmp_path / "a.txt")], "field")) == 2
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(PermanentError, match=r"c\.txt, which clean\.x names, is not UTF-8"):
        list(lines([str(tmp_path / "c.txt")], "clean.x"))
    with pytest.raises(PermanentError, match=r"clean\.x names 'nothing-here'"):
        files(["nothing-here"], "clean.x")


def test_only_a_line_end_ends_an_entry(tmp_path):
    (tmp_path / "a.txt").write_bytes("one\x85word\r\ntwo\u2028words\rthree\x0bwords\n".encode())
    assert list(lines([str(tmp_path / "a.txt")], "field")) == ["one\x85word", "two\u2028words", "three\x0bwords"]


def test_an_edited_list_is_another_run(tmp_path):
    assert source_fingerprint(CleanConfig()) is None
    path = tmp_path / "words.txt"
    path.write_text("one")
    configs = [
        CleanConfig(normalize={"sensitive_files": (str(path),)}),
        CleanConfig(filters={"bad_words": {"files": (str(path),)}}),
        CleanConfig(filters={"url_list": {"files": (str(path),)}}),
        CleanConfig(filters={"classifiers": ({"positive": (str(path),), "negative": (str(path),)},)}),
    ]
    before = [source_fingerprint(config) for config in configs]
    assert len(set(before)) == 4
    path.write_text("two")
    assert not set(before) & {source_fingerprint(config) for config in configs}
