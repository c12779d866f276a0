"""tasks/corpus/benchmarks/formats.py: what is written is read back, and what is no item is named with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.corpus.benchmarks.formats import (
    HellaSwagItem,
    MmluItem,
    mmlu_item,
    read_hellaswag,
    read_mmlu,
    write_hellaswag,
    write_mmlu,
)
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


def row(**fields: object) -> str:
    """A line of HellaSwag with some fields of another kind."""
    good = {"activity_label": "A", "ctx_a": "A person", "ctx_b": "", "endings": ["a", "b", "c", "d"], "label": 0}
    return json.dumps({**good, **fields})


def test_a_label_may_be_written_as_text_as_datasets_do(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text(row(label="3", ind="7"))
    (item,) = read_hellaswag(tmp_path / "items.jsonl")
    assert (item.label, item.ind, item.split) == (3, 7, "val")


@pytest.mark.parametrize("label", ["", None])
def test_a_test_set_without_labels_is_told(tmp_path: Path, label: str | None) -> None:
    (tmp_path / "test.jsonl").write_text("\n".join([row(), row(label=label), row(label=label)]))
    with pytest.raises(PermanentError, match=r"2 of 3 items of .*test.jsonl have no label.*hellaswag_val.jsonl"):
        read_hellaswag(tmp_path / "test.jsonl")


def test_the_line_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes(f"{row()}\n{row()}\ncaf".encode() + b"\xe9\n")
    with pytest.raises(PermanentError, match=r"items\.jsonl cannot be read as UTF-8 text: line 3 has the byte 0xe9"):
        read_hellaswag(tmp_path / "items.jsonl")
    with pytest.raises(PermanentError, match=r"cannot be read \(Is a directory\)"):
        read_hellaswag(tmp_path)


def test_all_wrong_lines_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text("\n".join([row(), *[row(label=9)] * 7]))
    with pytest.raises(PermanentError, match=r"has 7 lines .*line 2: .*line 6: .*; and 2 more\)"):
        read_hellaswag(tmp_path / "items.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "items.jsonl has 1 lines that are not HellaSwag items .line 1: activity_label is missing"),
        ("nonsense", "line 1: Expecting value"),
        ("[]", "line 1: it is a list, not an object"),
        ('{"a":' * 3000, "line 1: maximum recursion depth"),
        (row(label=1e999), "label is the number inf, not a whole number"),
        (row(label=2.7), "label is the number 2.7, not a whole number"),
        (row(label=True), "label is the value true, not a whole number"),
        (row(label="C"), "label is a text, not a whole number"),
        (row(label=4), "label is 4, but there are 4 endings"),
        (row(label=-1), "label is -1, but"),
        (row(ctx_b=None), "ctx_b is null, not a text"),
        (row(ctx_a=3), "ctx_a is the number 3, not a text"),
        (row(endings="abcd"), "endings is not a list of texts, but a text"),
        (row(endings=["a", None]), "endings is not a list of texts, but has null"),
        (row(endings=[]), "endings is not a list of texts"),
        (row(ind=False), "ind is the value false"),
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
    with pytest.raises(PermanentError, match=r"x_test.csv, row 2 is not an MMLU item"):
        read_mmlu(tmp_path)
    (tmp_path / "test" / "x_test.csv").write_text("question,a,b,c,d,AB\n")
    with pytest.raises(PermanentError, match=r"x_test.csv, row 1 is not an MMLU item"):
        read_mmlu(tmp_path)
    (tmp_path / "test" / "x_test.csv").write_text(f"question,a,b,c,{'d' * 200_000},A\n")
    with pytest.raises(PermanentError, match=r"x_test.csv, line 1 is not CSV"):
        read_mmlu(tmp_path)


@pytest.mark.parametrize(
    ("row", "right"),
    [
        (["q", "a", "b", "c", "d", " B "], "b"),
        (["q", *"abcdefghij", "J"], "j"),
        (["q", *"abcdefghij", "K"], None),
        (["q", "a", "b", "c", "d", "b"], None),
        (["q", "a", "b", "c", "d", "AB"], None),
        (["q", "a", "b", "c", "d", ""], None),
        (["q", "a", "b", "c", "C"], None),
        (["A"], None),
        ([], None),
    ],
)
def test_the_letter_of_a_row_is_one_of_its_choices(row: list[str], right: str | None) -> None:
    item = mmlu_item("subject", row)
    assert (item and item.choices[item.answer]) == right


@pytest.mark.shared
def test_the_published_files_are_read(shared_data: Path) -> None:
    folder = shared_data / "03_mmlu" / "stanford-cs336__assignment5-alignment" / "data" / "mmlu"
    items, dev = read_mmlu(folder)
    assert all(len(shots) == 5 for shots in dev.values())
    assert {item.subject for item in items} <= set(dev)
