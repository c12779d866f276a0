"""Rows of JSON lines, JSON, CSV and Parquet: broken ones, other names of columns, other encodings.

Also covers: tasks/corpus/crawl/csv_rows.py
Also covers: tasks/corpus/crawl/json_rows.py
Also covers: tasks/corpus/crawl/row_config.py
"""

from __future__ import annotations

import gzip
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.corpus.crawl.reading import contents, read


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
    assert contents(tmp_path / "a.jsonl") == ["half \ufffd".encode(), b"1"]


def test_invalid_utf8_is_left_to_cleaning(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "caf\xe9"}\n{"text": "ok"}\n')
    (tmp_path / "a.csv").write_bytes(b"text\ncaf\xe9\nok\n")
    (tmp_path / "a.json").write_bytes(b'[{"text": "caf\xe9"}, {"text": "ok"}]')
    for name in ("a.jsonl", "a.csv", "a.json"):
        first, second = read(tmp_path / name)
        assert (first.content, first.charset) == (b"caf\xe9", None)  # cleaning finds out that this is Latin-1
        assert (second.content, second.charset) == (b"ok", "utf-8")


def test_what_is_no_text_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": ["x"]}\n{"TEXT": "x", "id": 1}\n{"text": null}\n7\n')
    assert [record.detail for record in read(tmp_path / "a.jsonl")] == [
        "'text' is not a string but a list (crawl.fields.text)",
        "no field 'text' among TEXT, id (crawl.fields.text)",
        "'text' is null (crawl.fields.text)",
        "the row is not an object but a number",
    ]
    rows = [{"text": "a", "url": ["http://a/"], "title": {"de": "x"}}, {"text": "b", "id": math.nan, "title": 7}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read(tmp_path / "b.jsonl")
    assert (first.url, first.title, second.record_id, second.title) == ("http://a/", None, "", "7")


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
        ('[{"text": "a"}]\n[{"text": "b"}, {"text": "c"}', [b"a", b"b", b"c", "broken_record"]),
        ('["a", "b"]', [b"a", b"b"]),
        ('{"version": 1, "data": [{"text": "a"}, {"text": "b"}]}', [b"a", b"b"]),
        ('{"text": {"0": "a", "1": "b"}, "id": {"0": 1, "1": 2}}', [b"a", b"b"]),
        ('{"columns": ["id", "text"], "index": [0, 1], "data": [[1, "a"], [2, "b"]]}', [b"a", b"b"]),
        ('{"x": {"text": "a"}, "y": {"text": "b"}}', [b"a", b"b"]),
        ('  {\n    "text": "a"\n  }\n', [b"a"]),
    ],
)
def test_json_files_of_every_shape(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text)
    assert contents(tmp_path / "a.json") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a"}\n{"text": "b"}{"text": "c"}\n{"text": "d"}', "abcd"),
        ('{"text": "a"}\r{"text": "b"}\r{"text": "c"}', "abc"),
        ('\x1e{"text": "a"}\n\x1e{"text": "b"}\n', "ab"),
        ('\ufeff{"text": "a"}\n\ufeff{"text": "b"}\n', "ab"),
        ('[\n{"text": "a"},\n{"text": "b"}\n]\n', "ab"),
        ('{"text": "a"},\n{"text": "b"},\n', "ab"),
        ('{\n  "text": "a",\n  "n": {\n    "x": 1\n  }\n}\n{\n  "text": "b"\n}\n', "ab"),
        ('{"text": "line\nline"}\n{"text": "tab\tbed"}\n{"text": "c"}', ["line\nline", "tab\tbed", "c"]),
        ('{"text": "a"}\n{"text": "cut\n{"text": "c"}\n', ["a", "broken_record", "c"]),
        ('{"text": "a"}\n{"text": "b"}{"text": "cut\n{"text": "c"}\n', ["a", "b", "broken_record", "c"]),
        ('{"text": "cut\nplain\n{"text": "c"}\n', ["broken_record", "broken_record", "c"]),
        ('{"text": "a",}\n{"text": "b"}\n', ["broken_record", "b"]),
    ],
)
def test_rows_that_are_not_one_to_a_line(tmp_path, text, expected):
    (tmp_path / "a.jsonl").write_bytes(text.encode())
    found = contents(tmp_path / "a.jsonl")
    assert [each.decode() if isinstance(each, bytes) else each for each in found] == list(expected)


def test_packed_parts_that_were_joined_without_a_line_end(tmp_path):
    parts = [b'{"text": "a"}\n{"text": "b"}', b'{"text": "c"}\n{"text": "d"}']
    (tmp_path / "a.jsonl.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    assert contents(tmp_path / "a.jsonl.gz") == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("line", ['{"a": "\n', '{\n"a": {\n}\n', "}\n", ' {"a\n', '{"text": "x"}', "[{\n"])
def test_broken_lines_are_read_in_linear_time(tmp_path, line):
    """Each line is gathered once at most: 10,000 of them would else be read 50 million times."""
    (tmp_path / "a.jsonl").write_text(line * 10_000)
    read(tmp_path / "a.jsonl", max_page_megabytes=0.1)


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


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        # a quotation mark that is never closed costs its own row and swallows no other
        ("a.csv", 'id,text\n1,"one\n2,"two"\n3,"three"\n', ["broken_record", "two", "three"]),
        ("a.csv", 'id,text\n1,"one\n2,two\n3,three\n', ["broken_record", "two", "three"]),
        ("a.csv", 'id,text\n1,"one"" and\nmore"\n2,two\n', ['one" and\nmore', "two"]),
        ("a.csv", 'id,text\n1,"yes" he said\n2,no "no"\n', ['"yes" he said', 'no "no"']),
        ("a.csv", 'id,text\n1,"say \\"yes\\", now"\n2,"C:\\dir"\n', ['say "yes", now', "C:\\dir"]),
        ("a.csv", 'id,text\n1,"size 12\\""\n2,"a \\\\ b \\"c\\"\nd"\n3,x\n', ['size 12"', 'a \\ b "c"\nd', "x"]),
        ("a.csv", 'id, text\n1, "one, two"\n', ["one, two"]),
        ("a.csv", 'id;text\n1;"one, two"\n', ["one, two"]),
        ("a.csv", 'sep=;\nid;text\n1;"one; two"\n', ["one; two"]),
        ("a.csv", "id,text\r1,one\r2,two\r", ["one", "two"]),
        ("a.csv", "id,text\n1,one\nid,text\n2,two\n", ["one", "header_again", "two"]),
        ("a.csv", "\ufeffid,text\n1,one\n\ufeffid,text\n2,two\n", ["one", "header_again", "two"]),
        ("a.csv", "id,text\n1,a\x85b\u2028c\x0bd\x0ce\n", ["a\x85b\u2028c\x0bd\x0ce"]),
        # with tabs a quotation mark is a character like others where each line is a row
        ("a.tsv", 'id\ttext\n1\t"Come in," he said\n2\ttwo\n', ['"Come in," he said', "two"]),
        ("a.tsv", 'id\ttext\n1\t"Come in\n2\ttwo\n3\ta 12" pipe\n4\tfour\n', ['"Come in', "two", 'a 12" pipe', "four"]),
        ("a.tsv", 'id\ttext\n1\t"Come in\n2\ttwo\n3\tshe said"\n4\tfour\n', ['"Come in', "two", 'she said"', "four"]),
        ("a.tsv", 'id\ttext\n1\t"Come in\n2\ttwo\n', ['"Come in', "two"]),
        ("a.tsv", 'id\ttext\n1\t"one\nmore"\n2\t"a\tb ""c"""\n', ["one\nmore", 'a\tb "c"']),
        ("a.tsv", 'id\ttext\n1\t"whole ""text"""\n', ['whole "text"']),
        ("a.tsv", 'text\n"one\nmore"\ntwo\n', ["one\nmore", "two"]),
    ],
)
def test_quotation_marks(tmp_path, name, text, expected):
    (tmp_path / name).write_bytes(text.encode())
    found = contents(tmp_path / name)
    assert [each.decode() if isinstance(each, bytes) else each for each in found] == expected


@pytest.mark.parametrize(
    ("quoting", "expected"),
    [
        ("none", ['"a', 'b"', "c\\x", '"d" e']),
        ("double", ["a\n2,b", "c\\x", "broken_record"]),
        ("backslash", ["a\n2,b", "cx", "broken_record"]),
    ],
)
def test_how_values_are_quoted_can_be_said(tmp_path, quoting, expected):
    (tmp_path / "a.csv").write_text('id,text\n1,"a\n2,b"\n3,c\\x\n4,"d" e\n')
    found = contents(tmp_path / "a.csv", csv={"quoting": quoting})
    assert [each.decode() if isinstance(each, bytes) else each for each in found] == expected
    (tmp_path / "b.csv").write_text("id#text\n1#one, two\n")
    assert contents(tmp_path / "b.csv", csv={"delimiter": "#"}) == [b"one, two"]


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
