"""tasks/sft/alpaca.py: lists and lines are read; each broken record keeps its place and its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.sft.alpaca import alpaca_files, read_alpaca
from tasks.stage import PermanentError

GOOD = {"instruction": " Say hi. ", "input": "", "output": "hi"}


def test_a_list_and_lines_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([GOOD, {"instruction": "x", "input": "y", "output": "z"}]))
    other = '{"instruction": "x", "input": "y", "output": "z"}'
    (tmp_path / "b.jsonl").write_text("\ufeff" + json.dumps(GOOD) + "\n\n" + other)
    expected = [
        {"instruction": "Say hi.", "input": "", "output": "hi"},
        {"instruction": "x", "input": "y", "output": "z"},
    ]
    for name in ("a.json", "b.jsonl"):
        assert [record.pair for record in read_alpaca(tmp_path / name)] == expected


def test_only_a_line_end_ends_a_line(tmp_path: Path) -> None:
    answer = "One\x85two\u2028three\u2029four."
    row = json.dumps({**GOOD, "output": answer}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_bytes(f"{row}\r\n{row[:-1]}\r}}\n".encode())  # JSON has \r among its blanks
    pairs = [record.pair for record in read_alpaca(tmp_path / "a.jsonl")]
    assert pairs == [{"instruction": "Say hi.", "input": "", "output": answer}] * 2


def test_broken_records_say_where_and_why(tmp_path: Path) -> None:
    lines = [
        json.dumps(GOOD),
        "{half",
        "[1, 2]",
        '{"instruction": "x"}',
        '{"instruction": "", "output": "y"}',
        '{"instruction": "x", "output": 3}',
        '{"instruction": "x", "input": ["y"], "output": "z"}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    records = list(read_alpaca(tmp_path / "a.jsonl"))
    assert [record.pair is not None for record in records] == [True] + [False] * 6
    reasons = [record.reason for record in records[1:]]
    assert reasons[0].startswith("not valid JSON")
    assert reasons[1:] == [
        "is a list, not an object",
        "output is missing",
        "instruction is no text or empty",
        "output is no text or empty",
        "input is a list, not a text",
    ]
    assert records[1].place == "a.jsonl:2"
    assert records[1].raw == "{half"


def test_paths_that_name_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no file matches"):
        alpaca_files([str(tmp_path / "*.json")])
    (tmp_path / "a.json").write_text("[{]")
    with pytest.raises(PermanentError, match="not valid JSON"):
        list(read_alpaca(tmp_path / "a.json"))
    assert alpaca_files([str(tmp_path / "*.json")]) == [tmp_path / "a.json"]
