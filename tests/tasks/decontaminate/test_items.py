"""tasks/decontaminate/items.py: every kind of benchmark file becomes question and right answer, or names its line."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.benchmark_formats import HellaSwagItem, MmluItem, write_hellaswag, write_mmlu
from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.items import Item, read_benchmark, read_items
from tasks.stage import PermanentError


@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ({"question": "What turns?", "choices": ["a stone", "a wheel"], "answer": 1}, "What turns?", "a wheel"),
        ({"query": "What turns?", "choices": ["a stone", "a wheel"], "gold": "1"}, "What turns?", "a wheel"),
        ({"question": "What turns?", "choices": ["a stone", "a wheel"], "answer": "B"}, "What turns?", "a wheel"),
        ({"question": "What turns?", "choices": ["a stone", "a wheel"], "answer": "a wheel"}, "What turns?", "a wheel"),
        (
            {"question": "What turns?", "choices": {"text": ["a stone", "a wheel"], "label": ["1", "2"]},
             "answerKey": "2"},
            "What turns?",
            "a wheel",
        ),
        ({"question": "How many?", "answer": "17"}, "How many?", "17"),
        ({"prompt": "def f(x):\n    return [x]", "target": None}, "def f(x):\n    return [x]", ""),
        ({"text": "Just a text."}, "Just a text.", ""),
        (
            {"ctx": "[header] Mill [title] How [step] Turn it.", "endings": ["[substeps] x", "y"], "label": 1},
            " Mill. How Turn it.",
            "y",
        ),
        ({"question": "What turns?", "choices": ["a stone"], "answer": 7}, "What turns?", ""),
    ],
)  # fmt: skip
def test_jsonl_items(tmp_path: Path, row: dict[str, Any], question: str, answer: str) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps(row) + "\n\n")
    (item,) = read_benchmark(tmp_path / "b.jsonl", "b")
    assert (item.question, item.answer) == (question, answer)
    assert item.name == "1"


def test_all_files_of_a_recipe_are_read_once(tmp_path: Path) -> None:
    sentence = HellaSwagItem(3, "Roof", "A man is on a roof.", "he", "A man is on a roof. he", ("a", "b", "ü", "d"), 2)
    write_hellaswag(tmp_path / "h.jsonl", [sentence])
    write_mmlu(tmp_path / "mmlu" / "test" / "milling_test.csv", [MmluItem("milling", "Why?", ("a", "b", "c", "d"), 3)])
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "own.txt").write_text("first item\n\nsecond item\n")
    (tmp_path / "own.txt.gz").write_bytes(gzip.compress("第一题\n".encode()))
    config = DecontaminateConfig(
        hellaswag=str(tmp_path / "h.jsonl"),
        mmlu=str(tmp_path / "mmlu"),
        benchmarks=(str(tmp_path / "**" / "*.txt"), str(tmp_path / "*.gz")),
    )
    assert read_items(config) == [
        Item("hellaswag", "0", "A man is on a roof. he", "ü"),
        Item("mmlu", "milling/0", "Why?", "d"),
        Item("own", "1", "first item"),
        Item("own", "3", "second item"),
        Item((tmp_path / "own.txt.gz").as_posix(), "1", "第一题"),
    ]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.jsonl", b'{"question": "x"}\n{', r"a.jsonl:2 is no JSON"),
        ("a.jsonl", b'{"answer": "x"}', r"a.jsonl:1 has no text to look for"),
        ("a.jsonl", b"[1]", r"a.jsonl:1 has no text"),
        ("a.csv", b"question,a,b,c,d,F\n", r"a.csv, row 1 is no MMLU item"),
        ("a.txt", b"\xff\xfe", "cannot be read as UTF-8"),
        ("a.txt.gz", b"no gzip", "cannot be read as UTF-8"),
    ],
)
def test_what_is_no_benchmark_is_named(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(PermanentError, match=message):
        read_benchmark(tmp_path / name, "b")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for config in ({"benchmarks": (str(tmp_path / "*.jsonl"),)}, {"hellaswag": str(tmp_path / "no.jsonl")}):
        with pytest.raises(PermanentError, match=r"no file|no such file"):
            read_items(DecontaminateConfig(**config))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    raw=st.binary(max_size=300) | st.text(max_size=200).map(str.encode), kind=st.sampled_from(["jsonl", "csv", "txt"])
)
def test_any_bytes_are_items_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, raw: bytes, kind: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz.{kind}"
    path.write_bytes(raw)
    with contextlib.suppress(PermanentError):  # which is a sentence
        assert all(isinstance(item, Item) for item in read_benchmark(path, "fuzz"))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    row=st.dictionaries(
        st.sampled_from(["question", "ctx", "choices", "endings", "answer", "gold", "label"]),
        st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=4)
                     | st.dictionaries(st.sampled_from(["text", "label"]), inner, max_size=2), max_leaves=6),
        max_size=5,
    )
)  # fmt: skip
def test_any_json_is_an_item_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz_rows.jsonl"
    path.write_text(json.dumps(row))
    try:
        (item,) = read_benchmark(path, "fuzz")
    except PermanentError:
        assert not isinstance(row.get("question", row.get("ctx")), str)
    else:
        assert isinstance(item.question, str)
        assert isinstance(item.answer, str)
