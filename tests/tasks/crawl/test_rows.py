"""Rows of JSON lines, JSON, CSV and Parquet: broken ones, other names of columns, other encodings."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.crawl.reading import contents, read


@pytest.mark.parametrize("packed", [False, True])
def test_jsonl_with_broken_lines(tmp_path, packed):
    lines = [
        json.dumps({"text": "one", "id": 7, "url": "http://a/", "fetched_at": "2025-01-02T03:04:05Z"}),
        "{broken",
        json.dumps({"no_text": 1}),
        "",
        json.dumps({"text": "x" * 3_000}),
        "[" * 50_000,
        '"' + "y" * 200_000,
        json.dumps({"text": "last"}),
    ]
    path = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl")
    data = b"\xef\xbb\xbf" + "\n".join(lines).encode() + b"\n"
    path.write_bytes(gzip.compress(data) if packed else data)
    records = read(path, max_page_megabytes=0.002)
    assert [record.problem for record in records] == [
        None,
        "broken_record",
        "no_text",
        "too_large",
        "broken_record",
        "too_large",
        None,
    ]
    first = records[0]
    assert (first.content, first.record_id, first.url) == (b"one", "7", "http://a/")
    assert first.fetched_at.isoformat() == "2025-01-02T03:04:05+00:00"


def test_columns_can_have_other_names(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "<p>x</p>", "key": "k"}\n')
    (record,) = read(tmp_path / "a.jsonl", fields={"text": "body", "id": "key", "mime": "text/html"})
    assert (record.content, record.record_id, record.mime) == (b"<p>x</p>", "k", "text/html")


def test_nested_columns_are_named_by_a_dotted_path(tmp_path):
    rows = [{"doc": {"body": "x", "meta": {"url": "http://a/"}}}, {"doc": "no object"}, {"doc.body": "flat"}]
    names = {"text": "doc.body", "url": "doc.meta.url"}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third = read(tmp_path / "a.jsonl", fields=names)
    assert (first.content, first.url, second.problem, third.content) == (b"x", "http://a/", "no_text", b"flat")
    pq.write_table(pa.Table.from_pylist([rows[0]]), tmp_path / "a.parquet")
    (record,) = read(tmp_path / "a.parquet", fields=names)
    assert (record.content, record.url) == (b"x", "http://a/")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_rows_in_other_encodings_with_a_mark(tmp_path, codec):
    (tmp_path / "a.jsonl").write_bytes('{"text": "Grüße"}\n{"text": "ζωή"}\n'.encode(codec))
    (tmp_path / "a.csv").write_bytes('id,text\n1,Grüße\n2,"ζωή, βίος"\n'.encode(codec))
    assert contents(tmp_path / "a.jsonl") == ["Grüße".encode(), "ζωή".encode()]
    assert contents(tmp_path / "a.csv") == ["Grüße".encode(), "ζωή, βίος".encode()]


def test_lines_that_json_allows_and_strict_parsers_refuse(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "half \\ud800", "n": NaN}\n{"text": "1", "n": ' + "9" * 400 + "}\n")
    assert contents(tmp_path / "a.jsonl") == [b"half ?", b"1"]


def test_invalid_utf8_in_json_costs_its_line_and_in_csv_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "caf\xe9"}\n{"text": "ok"}\n')
    assert contents(tmp_path / "a.jsonl") == ["broken_record", b"ok"]
    (tmp_path / "a.csv").write_bytes(b"text\ncaf\xe9\nok\n")
    first, second = read(tmp_path / "a.csv")
    assert (first.content, first.charset) == (b"caf\xe9", None)  # cleaning finds out that this is Latin-1
    assert (second.content, second.charset) == (b"ok", "utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"text": "a"}, {"text": "b"},\n {"x": 1}]', [b"a", b"b", "no_text"]),
        ('[{"text": "a"}, {"text": bad}, {"text": "c"}]', [b"a", "broken_record"]),
        ('[{"text": "a"}, {"text": "cut', [b"a", "broken_record"]),
        ("[]", ["no_records"]),
        ('{"text": "a"}\n{"text": "b"}\n', [b"a", b"b"]),
        ('{\n  "text": "a",\n  "n": [1, 2]\n}\n', [b"a"]),
        ('{"text": "a"}', [b"a"]),
        ("\n\n  [1, 2.5]", ["no_text", "no_text"]),
        ("not json", ["broken_record"]),
    ],
)
def test_json_files_of_every_shape(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text)
    assert contents(tmp_path / "a.json") == expected


def test_a_long_json_array_is_read_in_pieces(tmp_path):
    texts = [f"{number} " + "x" * (number % 50_000) for number in range(400)]
    (tmp_path / "a.json").write_text(json.dumps([{"text": text} for text in texts]))
    assert contents(tmp_path / "a.json", max_page_megabytes=0.1) == [text.encode() for text in texts]
    (tmp_path / "b.json").write_text('[{"text": "a"}, {"text": "' + "y" * 3_000_000 + '"}]')
    assert contents(tmp_path / "b.json", max_page_megabytes=0.1) == [b"a", "too_large"]


def test_csv_and_tsv(tmp_path):
    (tmp_path / "a.csv").write_text('url,text\nhttp://a/,"one, with ""quotes""\nand lines"\nshort\nhttp://b/,two\n')
    assert contents(tmp_path / "a.csv") == [b'one, with "quotes"\nand lines', "broken_record", b"two"]
    (tmp_path / "a.tsv").write_text("title\ttext\nT\tbody\n")
    (record,) = read(tmp_path / "a.tsv")
    assert (record.title, record.content) == ("T", b"body")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    assert contents(tmp_path / "b.csv") == ["no_text_column"]
    (tmp_path / "d.csv").write_text("text\none\n" + "x" * 3_000_000 + "\ntwo\n" + '"' + "y" * 3_000_000)
    assert contents(tmp_path / "d.csv", max_page_megabytes=0.1) == [b"one", "too_large", b"two", "too_large"]
    (tmp_path / "c.csv").write_text('text\n"' + "x" * 3_000 + '"\nok\n')
    assert contents(tmp_path / "c.csv", max_page_megabytes=0.001) == ["broken_record", b"ok"]


def test_parquet(tmp_path):
    table = pa.table({"text": ["one", None, "three"], "url": [None, None, "http://a/"], "unused": [1, 2, 3]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == [b"one", "no_text", b"three"]
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "b.parquet")
    (record,) = read(tmp_path / "b.parquet")
    assert record.problem == "no_text_column"
    assert "content" in record.detail
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing PAR1")
    assert contents(tmp_path / "c.parquet") == ["broken_file"]


def test_a_parquet_file_with_a_damaged_row_group_keeps_the_others(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {n} " * 50 for n in range(30)]})
    pq.write_table(table, path, row_group_size=10, compression="zstd")
    start = pq.read_metadata(path).row_group(1).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    found = contents(path)
    assert found.count("broken_record") == 10
    assert len(found) == 30


def test_a_parquet_moment_that_python_has_no_date_for_costs_nothing_but_itself(tmp_path):
    moments = pa.array([2**60, 0], pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["one", "two"], "date": moments}), tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == [b"one", b"two"]


def test_a_parquet_value_that_is_no_utf8_costs_its_row(tmp_path):
    values = pa.array([b"one", b"caf\xe9", b"three"]).view(pa.string())
    pq.write_table(pa.table({"text": values}), tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == [b"one", "broken_record", b"three"]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.lists(st.recursive(st.none() | st.floats() | st.text(max_size=5), st.lists), max_size=5).map(
            lambda rows: "\n".join(json.dumps(row) for row in rows).encode("utf-8", "surrogatepass")
        ),
        st.text(alphabet='{}[]":,\\ntexu0\n\ud800', max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
    ),
    name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "a.json.zst"]),
)
def test_readers_of_rows_survive_anything(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    records = read(path, max_page_megabytes=0.0001)
    assert records
    assert all(len(record.content) <= 100 for record in records)
