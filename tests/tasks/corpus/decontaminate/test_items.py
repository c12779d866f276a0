"""corpus/decontaminate/items.py: every kind of benchmark file becomes question and right answer, or names its line.

Also covers: tasks/corpus/benchmarks/rows.py
Also covers: tasks/corpus/benchmarks/item.py
Also covers: tasks/corpus/benchmarks/item_rows.py
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem, write_hellaswag, write_mmlu
from tasks.corpus.benchmarks.item import Item
from tasks.corpus.benchmarks.item_rows import read_benchmark
from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.items import read_items
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
        ({"question": "What turns?", "choices": ["a stone", "a wheel"], "answer": "(b)"}, "What turns?", "a wheel"),
        ({"question": "What turns?", "choices": ["a stone", "a wheel"], "answer": "2"}, "What turns?", "a wheel"),
        (
            {"question": "How many?", "options": [*"12345678", "48"], "answer": "I", "answer_index": 8},
            "How many?",
            "48",
        ),
        ({"problem": "How many?", "solution": "48"}, "How many?", "48"),
        ({"Question": "How many?", "Best Answer": "48", "Incorrect Answers": "1; 2"}, "How many?", "48"),
        ({"question": "What turns?", "options": {"A": "a stone", "B": "a wheel"}, "answer_idx": "B"}, "What turns?",
         "a wheel"),
        ({"question": "What turns?", "opa": "a stone", "opb": "a wheel", "cop": 1}, "What turns?", "a wheel"),
        ({"goal": "Turn it.", "sol1": "by wind", "sol2": "by water", "label": 0}, "Turn it.", "by wind"),
        ({"sentence": "The _ turned.", "option1": "stone", "option2": "wheel", "answer": "2"}, "The _ turned.",
         "wheel"),
        ({"question": "What turns?", "mc1_targets": {"choices": ["a stone", "a wheel"], "labels": [0, 1]}},
         "What turns?", "a wheel"),
        ({"question": "Who?", "answers": {"text": ["the miller"], "answer_start": [3]}}, "Who?", "the miller"),
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
        Item("hellaswag", "0", "A man is on a roof. he", "ü", ("a", "b", "ü", "d")),
        Item("mmlu", "milling/0", "Why?", "d", ("a", "b", "c", "d")),
        Item("own", "1", "first item"),
        Item("own", "2", "second item"),
        Item((tmp_path / "own.txt.gz").as_posix(), "1", "第一题"),
    ]


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.jsonl", b'{"question": "x"}\n{', r"a.jsonl, row 2 is not JSON"),
        ("a.jsonl", b'{"answer": "x"}', r"a.jsonl, row 1 has no text to look for.*but it has answer"),
        ("a.jsonl", b"[1]", r"a.jsonl, row 1 has no text to look for.*but it is not an object"),
        ("a.json", b'[{"question": "x"}, {"question": ', r"a.json, row 2 is not JSON"),
        ("a.json", b'{"a": 1}', r"a.json, row 1 has no text"),
        ("a.csv", b"question,a,b,c,d,F\n", r"a.csv has no item"),
        ("a.csv", b"What?,a,b,c,d,F\n", r"a.csv, row 1 is not an MMLU item"),
        ("a.csv", b"id,what\n1,x\n", r"a.csv, row 1 is not an MMLU item.*the first row must name the columns"),
        ("a.csv", b"id,question\n1,x\n2\n", r"a.csv, row 3 is not a row of this table"),
        ("a.parquet", b"PAR1 and no more", r"a.parquet is not a readable Parquet file"),
        ("a.txt", b"\xff\x00\xfe", "cannot be read as UTF-8"),
        ("a.txt", b"", "has no item"),
        ("a.txt.gz", b"\x1f\x8b\x08 broken", "a.txt.gz is damaged"),
        ("a.html", b"<p>What?", "a.html is a web page"),
        ("a.warc.gz", b"", "a.warc.gz is an archive"),
    ],
)
def test_what_is_no_benchmark_is_named(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(PermanentError, match=message):
        read_benchmark(tmp_path / name, "b")


ROWS = [
    {"question": "What turns the wheel of the mill?", "choices": ["a cat", "the river"], "answer": 1},
    {"question": "Who’s asleep\u2028until noon?", "choices": ["the miller", "his wife"], "answer": 0},
    {"question": "水车为什么转动？", "choices": ["风", "水"], "answer": 1},
]
ITEMS = [
    Item("b", "1", ROWS[0]["question"], "the river", ("a cat", "the river")),
    Item("b", "2", ROWS[1]["question"], "the miller", ("the miller", "his wife")),
    Item("b", "3", ROWS[2]["question"], "水", ("风", "水")),
]
TABLE = [["question", "A", "B", "answer"], *([r["question"], *r["choices"], "AB"[r["answer"]]] for r in ROWS)]


def written(kind: str) -> bytes:
    if kind == "parquet":
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), out)
        return out.getvalue()
    if kind in ("csv", "tsv"):
        text = io.StringIO(newline="")
        csv.writer(text, delimiter="," if kind == "csv" else "\t").writerows(TABLE)
        return text.getvalue().encode()
    made = {
        "jsonl": "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
        "array.json": json.dumps(ROWS, ensure_ascii=False),
        "pretty.json": json.dumps(ROWS, indent=2),
        "objects.json": "\n".join(json.dumps(row, indent=2) for row in ROWS),
        "data.json": json.dumps({"version": "1.1", "data": ROWS}),
        "columns.json": json.dumps({name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]}),
        "array.jsonl": json.dumps(ROWS),
        "glued.jsonl": "".join(map(json.dumps, ROWS)),
    }
    return made[kind].encode()


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda raw: pa.compress(raw, "zstd").to_pybytes(),
}


@pytest.mark.parametrize("packed", ["", "gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize(
    "kind",
    ["jsonl", "array.json", "pretty.json", "objects.json", "data.json", "columns.json", "array.jsonl", "glued.jsonl",
     "csv", "tsv", "parquet"],
)  # fmt: skip
def test_every_format_of_crawl_paths_has_the_same_items(tmp_path: Path, kind: str, packed: str) -> None:
    if packed and kind == "parquet":
        pytest.skip("A Parquet file is packed within.")
    if packed == "zst":
        pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    path = tmp_path / ".".join(["bench [v2]", kind, packed]).rstrip(".")
    path.write_bytes(PACKED[packed](written(kind)) if packed else written(kind))
    assert read_benchmark(path, "b") == ITEMS


def test_a_file_with_brackets_in_its_name_is_itself_and_else_a_pattern(tmp_path: Path) -> None:
    for name in ("b [v2].txt", "b v.txt", "b 2.txt"):
        (tmp_path / name).write_text(f"item of {name}")
    there, pattern = str(tmp_path / "b [v2].txt"), str(tmp_path / "b [x2].txt")
    assert [item.question for item in read_items(DecontaminateConfig(benchmarks=(there,)))] == ["item of b [v2].txt"]
    assert [item.question for item in read_items(DecontaminateConfig(benchmarks=(pattern,)))] == ["item of b 2.txt"]
    with pytest.raises(PermanentError, match=r"no file matches.*A \[ in a name begins a pattern"):
        read_items(DecontaminateConfig(benchmarks=(str(tmp_path / "c [v2].txt"),)))


def test_a_folder_is_its_files_and_a_file_that_two_entries_name_counts_once(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    folder.mkdir()
    (folder / "b.json").write_bytes(written("array.json"))
    (folder / "README.md").write_text("Not an item.")
    (folder / "c.txt").write_text("one\ntwo\n")
    items = read_items(DecontaminateConfig(benchmarks=(str(folder), str(folder / "*.txt"))))
    assert [(item.benchmark, item.name) for item in items] == [
        ("b", "1"),
        ("b", "2"),
        ("b", "3"),
        ("c", "1"),
        ("c", "2"),
    ]


def test_numbers_that_begin_with_one_are_told_by_the_whole_file(tmp_path: Path) -> None:
    rows = [{"question": f"What {n}?", "choices": ["x", "y"], "answer": n} for n in (1, 2, 1)]
    (tmp_path / "b.json").write_text(json.dumps(rows))
    assert [item.answer for item in read_benchmark(tmp_path / "b.json", "b")] == ["x", "y", "x"]


def test_other_encodings_are_read_as_crawl_reads_them(tmp_path: Path) -> None:
    for name, raw in (
        ("a.jsonl", '{"question": "Was dreht die Räder der Mühle?"}'.encode("cp1252")),
        ("b.txt", "Was dreht die Räder der Mühle?\n".encode("utf-16")),
        ("c.csv", "\ufeffquestion,answer\nWas dreht die Räder der Mühle?,Fluß\n".encode()),
    ):
        (tmp_path / name).write_bytes(raw)
        assert read_benchmark(tmp_path / name, "b")[0].question == "Was dreht die Räder der Mühle?"


def test_places_that_are_not_local_are_named() -> None:
    with pytest.raises(PermanentError, match="read from local files: fetch it first"):
        read_items(DecontaminateConfig(benchmarks=("https://example.org/b.jsonl",)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for config in ({"benchmarks": (str(tmp_path / "*.jsonl"),)}, {"hellaswag": str(tmp_path / "no.jsonl")}):
        with pytest.raises(PermanentError, match=r"no file|no such file"):
            read_items(DecontaminateConfig(**config))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    raw=st.binary(max_size=300) | st.text(max_size=200).map(str.encode),
    kind=st.sampled_from(["jsonl", "json", "csv", "tsv", "txt", "parquet"]),
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
