"""The board keeps what was measured, knows which way better is, and prints one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import board


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board of the test's own."""
    monkeypatch.setattr(board, "FOLDER", tmp_path / ".bench")
    return tmp_path / ".bench"


def test_rows_stay_until_they_are_measured_again(folder: Path) -> None:
    assert board.record("crawl", 30.0, {"scrapy": 20.0, "wget": 15.0}, unit="pages/s") == 1.5
    assert board.record("memory", 50.0, {"other": 200.0}, unit="MB", more_is_better=False) == 4.0
    assert board.record("crawl", 10.0, {"scrapy": 20.0}, unit="pages/s") == 0.5
    assert board.record("alone", 1.0, unit="x") is None
    rows = json.loads((folder / "data.json").read_text())
    assert rows["crawl"] == {"ours": 10.0, "rivals": {"scrapy": 20.0}, "ratio": 0.5, "unit": "pages/s"}
    assert set(rows) == {"crawl", "memory", "alone"}


def test_the_table_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    board.record("minhash", 91_535.0, {"datasketch": 3036.0, "rensa": 5914.2}, unit="documents/s of one core")
    board.record("growth", 1.04, unit="× from 10 k to 100 k documents")
    board.show("data")
    shown = capsys.readouterr().out
    for words in ("91,535", "datasketch 3,036", "rensa 5,914", "15.48 ×", "documents/s of one core", "1.04"):
        assert words in shown


def test_an_empty_board_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    board.show("nothing")
    assert "Nothing of nothing was measured yet." in capsys.readouterr().out
