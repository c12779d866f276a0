"""tasks/corpus/pairs: rows of every format and layout give the same pairs, and broken ones a reason.

Also covers: tasks/corpus/pairs/sides.py
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.corpus.pairs.reading import pair_files, read_pairs
from tasks.corpus.pairs.sides import NoPair, Pair, pair_of
from tasks.stage import PermanentError

PAIRS = [("Guten Tag", "Good day"), ('Er sagt: "Ja, gut"', "He says: “Yes, good”"), ("eins", "one")]
GOOD = [Pair(*pair) for pair in PAIRS]


def lines(names: tuple[str, str] = ("source", "target")) -> bytes:
    rows = (dict(zip(names, pair, strict=True)) for pair in PAIRS)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv(names: tuple[str, ...] = ("source", "target"), by: str = ",") -> bytes:
    cells = [names, *PAIRS]
    return "\r\n".join(by.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells).encode()


def pairs_in(path: Path, source: str = "", target: str = "") -> list[Pair | None]:
    return [found.pair for found in read_pairs(path, source, target)]


def nested(row: tuple[str, str]) -> dict[str, object]:
    return {"id": "7", "translation": {"de": row[0], "en": row[1]}}


FILES: dict[str, Callable[[], bytes]] = {
    "a.jsonl": lines,
    "languages.jsonl": lambda: lines(("de", "en")),
    "nested.jsonl": lambda: "".join(json.dumps(nested(row)) + "\n" for row in PAIRS).encode(),
    "summaries.jsonl.gz": lambda: gzip.compress(lines(("document", "summary"))),
    "a.csv": csv,
    "semicolons.csv": lambda: csv(("src", "tgt"), ";"),
    "excel.csv": lambda: csv().decode().encode("utf-16"),
    "Named.csv.bz2": lambda: bz2.compress(csv(("Source Text", "Target Text"))),
    "a.tsv": lambda: "\n".join("\t".join(row) for row in [("en", "de"), *PAIRS]).encode(),
    "a.json": lambda: json.dumps([{"input": a, "output": b} for a, b in PAIRS]).encode(),
    "wrapped.json": lambda: json.dumps({"version": 1, "data": [nested(row) for row in PAIRS]}).encode(),
    "columns.json": lambda: json.dumps(
        {name: {str(n): row[side] for n, row in enumerate(PAIRS)} for side, name in enumerate(("source", "target"))}
    ).encode(),
    "a.json.xz": lambda: lzma.compress(lines(("text", "summary"))),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_pairs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name]())
    assert pairs_in(tmp_path / name) == GOOD


def test_parquet_with_columns_or_a_translation(tmp_path: Path) -> None:
    flat, struct = tmp_path / "flat.parquet", tmp_path / "struct.parquet"
    pq.write_table(pa.table({"de": [row[0] for row in PAIRS], "en": [row[1] for row in PAIRS]}), flat)
    pq.write_table(pa.Table.from_pylist([nested(row) for row in PAIRS]), struct)
    assert pairs_in(flat) == pairs_in(struct) == GOOD
    other = [Pair(pair.target, pair.source) for pair in GOOD]
    assert pairs_in(flat, "en", "de") == pairs_in(struct, "translation.en", "translation.de") == other


def test_columns_may_be_named_or_counted(tmp_path: Path) -> None:
    many, bare = tmp_path / "many.csv", tmp_path / "bare.tsv"
    many.write_text("id,en,de\n1,one,eins\n")
    bare.write_text("one\teins\tCC-BY\ntwo\tzwei\tCC-BY\n")
    assert pairs_in(many, "de", "en") == [Pair("eins", "one")]
    assert pairs_in(bare, "1", "2") == [Pair("one", "eins"), Pair("two", "zwei")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"source": "a", "target": " "}, "target is empty"),
        ({"source": "", "target": "b"}, "source is empty"),
        ({"source": "a", "target": None}, "target is null"),
        ({"source": "a", "target": ["b"]}, "target is a list, not a text"),
        ({"source": 1.5, "target": "b"}, "source is the number 1.5, not a text"),
        ({"id": 1, "en": "a", "de": "b"}, "its columns are id, en, de; name two of them"),
        (
            {"translation": {"en": "a", "de": "b", "fr": "c"}},
            "translation.en, translation.de, translation.fr; name two",
        ),
        ({}, "its columns are none"),
        (["a", "b"], "it is a list, not a row"),
        ("text", "it is a text, not a row"),
        ({"source": "a\udce9", "target": "b"}, r"source is not UTF-8 \(the byte 0xe9 at character 2\).*iconv"),
        ({"source": "a", "target": "\ud800"}, "target is not UTF-8 .half a surrogate pair"),
    ],
)
def test_a_row_without_a_pair_says_why(row: object, reason: str) -> None:
    with pytest.raises(NoPair, match=reason):
        pair_of(row)


def test_a_named_column_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(NoPair, match=r"it has no column fr; it has en, de"):
        pair_of({"en": "a", "de": "b"}, "en", "fr")


def test_a_broken_row_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    latin = '{"source": "Müller", "target": "x"}\n'.encode("latin-1")
    path.write_bytes(lines() + b'{"source": "cut\n' + latin + lines())
    found = list(read_pairs(path))
    assert [one.pair for one in found if one.pair] == GOOD * 2
    assert [one.place for one in found if one.pair is None] == ["bad.jsonl#4", "bad.jsonl#5"]
    assert "not UTF-8" in found[4].reason
    table = tmp_path / "bad.csv"
    table.write_bytes(csv() + b'\r\n"only one value"\r\n' + "Müller,x\r\n".encode("latin-1"))
    found = list(read_pairs(table))
    assert [one.pair for one in found if one.pair] == GOOD
    assert "1 values for 2 columns" in found[3].reason
    assert "not UTF-8" in found[4].reason


def test_files_that_are_damaged_are_told_and_not_raised(tmp_path: Path) -> None:
    packed, table = tmp_path / "cut.jsonl.gz", tmp_path / "no.parquet"
    packed.write_bytes(gzip.compress(lines() * 500)[:-40])
    table.write_bytes(b"PAR1 is not all there is")
    assert "damaged" in list(read_pairs(packed))[-1].reason
    assert "not a readable Parquet file" in next(read_pairs(table)).reason
    (tmp_path / "empty.csv").write_bytes(b"")
    assert list(read_pairs(tmp_path / "empty.csv")) == []


def test_no_file_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"names '.*none\*', but no file matches"):
        pair_files([str(tmp_path / "none*")])
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(PermanentError, match=r"page.html, which is no table; pairs are read from csv"):
        pair_files([str(tmp_path / "page.html")])


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_any_text_comes_through_json_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.jsonl"
    path.write_text("".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in rows))
    wanted = [Pair(a.strip(), b.strip()) if a.strip() and b.strip() else None for a, b in rows]
    assert pairs_in(path) == wanted
