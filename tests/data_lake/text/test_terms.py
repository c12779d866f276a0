"""terms.py: what a text is found by, in scripts with and without spaces."""

from __future__ import annotations

import pytest

from data_lake.text.terms import distinct, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Mill turns.", ["the", "mill", "turns"]),
        ("textwrap.dedent", ["textwrap.dedent", "textwrap", "dedent"]),
        ("__init__ read_csv", ["__init__", "init", "read_csv", "read", "csv"]),
        ("Größe GRÖSSE", ["grösse", "grösse"]),
        ("水車が", ["水", "水車", "水車が", "車", "車が", "が"]),
        ("กังหัน", ["กั", "กัง", "กังหั", "ง", "งหั", "งหัน", "หั", "หัน", "น"]),
        ("水 車", ["水", "車"]),
        ("हिन्दी", ["हिन्दी"]),
        ("… !", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_what_a_passage_should_have_is_said_once() -> None:
    assert distinct("What does `textwrap.dedent` do? What?") == ["what", "does", "textwrap", "dedent", "do"]
    assert distinct("水車が回る") == ["水車", "車が", "が回", "回る", "る"]
    assert distinct("") == []
