"""tasks/benchmark_formats.py: what is written is read back, and what is no item is named with its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.benchmark_formats import HellaSwagItem, MmluItem, read_hellaswag, read_mmlu, write_hellaswag, write_mmlu
from tasks.stage import PermanentError

NO_LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # for str.splitlines they are
SENTENCE = HellaSwagItem(3, "Roof", "A man is on a roof.", "he", "A man is on a roof. he", ("a", "b", "ü", "d"), 2)
QUESTION = MmluItem("python_documentation", 'What, "exactly"?\nSay.', ("a,b", "c", "d", "e"), 1)


def test_round_trips(tmp_path: Path) -> None:
    write_hellaswag(tmp_path / "items" / "val.jsonl", [SENTENCE, SENTENCE])
    assert read_hellaswag(tmp_path / "items" / "val.jsonl") == [SENTENCE, SENTENCE]
    for split in ("dev", "test"):
        write_mmlu(tmp_path / "mmlu" / split / f"python_documentation_{split}.csv", [QUESTION])
    assert read_mmlu(tmp_path / "mmlu") == ([QUESTION], {"python_documentation": [QUESTION]})


def test_only_a_line_end_ends_a_line(tmp_path: Path) -> None:
    odd = replace(SENTENCE, ctx_a=f"A man{NO_LINE_ENDS}is on a roof.", endings=("a", "b\x85", "\u2028c", "d"))
    write_hellaswag(tmp_path / "val.jsonl", [odd, SENTENCE])
    assert read_hellaswag(tmp_path / "val.jsonl") == [odd, SENTENCE]
    question = MmluItem("x", f"What{NO_LINE_ENDS}is\r\nthis?", ("a\x85", "\u2028", "c", "d\n"), 1)
    write_mmlu(tmp_path / "test" / "x_test.csv", [question, QUESTION])
    assert read_mmlu(tmp_path)[0] == [question, replace(QUESTION, subject="x")]
    (tmp_path / "test" / "x_test.csv").write_bytes("one\u2028more,a,b,c,d,A\rtwo,a,b\x85,c,d,B\r\n".encode())
    assert [item.question for item in read_mmlu(tmp_path)[0]] == ["one\u2028more", "two"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", r"items.jsonl:1 is no HellaSwag item \(KeyError"),
        ("nonsense", "items.jsonl:1 is no HellaSwag item"),
        ('{"a":' * 3000, "items.jsonl:1 is no HellaSwag item"),
        (
            '{"activity_label": "", "ctx_a": "", "ctx_b": "", "endings": ["a"], "label": 1e999}',
            r"items.jsonl:1 is no HellaSwag item \(OverflowError",
        ),
        ('{"activity_label": "", "ctx_a": "", "ctx_b": "", "endings": ["a"], "label": 1}', "label 1, but 1 endings"),
    ],
)
def test_broken_hellaswag_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "items.jsonl").write_text(line + "\n")
    with pytest.raises(PermanentError, match=message):
        read_hellaswag(tmp_path / "items.jsonl")


def test_broken_mmlu_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="holds no test"):
        read_mmlu(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "x_test.csv").write_text("question,a,b,c,d,A\nquestion,a,b,c,d,E\n")
    with pytest.raises(PermanentError, match=r"x_test.csv, row 2 is no MMLU item"):
        read_mmlu(tmp_path)
    (tmp_path / "test" / "x_test.csv").write_text("question,a,b,c,d,AB\n")
    with pytest.raises(PermanentError, match=r"x_test.csv, row 1 is no MMLU item"):
        read_mmlu(tmp_path)
    (tmp_path / "test" / "x_test.csv").write_text(f"question,a,b,c,{'d' * 200_000},A\n")
    with pytest.raises(PermanentError, match=r"x_test.csv, line 1 is no CSV"):
        read_mmlu(tmp_path)


@pytest.mark.shared
def test_the_published_files_are_read(shared_data: Path) -> None:
    folder = shared_data / "03_mmlu" / "stanford-cs336__assignment5-alignment" / "data" / "mmlu"
    items, dev = read_mmlu(folder)
    assert all(len(shots) == 5 for shots in dev.values())
    assert {item.subject for item in items} <= set(dev)
