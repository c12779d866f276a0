"""`textmill sample`: texts for people and for programs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from data_lake.store.lake import Lake
from data_lake.tables import schemas
from tests.lakes import commit, documents
from tests.terminal import data, textmill


@pytest.fixture
def short(home: Path) -> Lake:
    """One page that was too short, with a text that would like to be more than text."""
    lake = Lake(home / "lake")
    row = {
        "doc_id": "0" * 16, "url": "http://example.org/a", "source": "example.org", "reason": "too_short",
        "value": 6.0, "threshold": 50.0, "detail": "counted in words", "text": "[red]see\x1b[2J[/red] " + "x" * 700,
        "n_bytes": 1763,
    }  # fmt: skip
    commit(lake, "clean", {"removed/part-00000.parquet": pa.Table.from_pylist([row], schema=schemas.REMOVED)})
    return lake


def test_a_removal_with_its_url_reason_and_what_decided(short: Lake) -> None:
    shown = textmill("sample", "removed", "--reason", "too_short", "-n", "3")
    for words in (
        "http://example.org/a",
        "too_short: 6 (limit 50), counted in words · clean · 1,763 bytes",
        "[red]see",
    ):
        assert words in shown
    assert "\x1b" not in shown
    assert "x" * 100 in shown
    assert "x" * 650 not in shown.replace("\n", "")
    assert "[red]see·… (" not in textmill("sample", "removed", "--characters", "9000")


def test_json_is_whole(short: Lake) -> None:
    (row,) = data("sample", "removed")
    assert (row["value"], row["threshold"], len(row["text"])) == (6.0, 50.0, len("[red]see\x1b[2J[/red] ") + 700)


def test_documents_of_the_corpus(lake: Lake) -> None:
    rows = data("sample", "documents", "--source", "example.org", "-n", "9")
    assert sorted(row["text"] for row in rows) == ["[bold]delta[/bold] \x1b[31m", "alpha beta gamma"]
    assert data("sample", "documents", "--seed", "3") == data("sample", "documents", "--seed", "3")
    assert "alpha · en · dedup · 16 bytes" in textmill("sample", "documents")


def test_documents_say_their_split(lake: Lake) -> None:
    assert {row["split"] for row in data("sample", "documents")} == {None}  # nobody has decided it yet
    assert "so none has the split 'test'" in textmill("sample", "documents", "--split", "test", code=2)
    texts = pa.concat_tables([documents("kept to test with"), documents("to learn from")])
    rows = texts.append_column(schemas.CORPUS.field("split"), [["test", "train"]])
    commit(lake, "decontaminate", {"documents/part-00000.parquet": rows}, tuple(lake.artifacts("dedup")), hour=5)
    (row,) = data("sample", "documents", "--split", "test")
    assert (row["text"], row["split"]) == ("kept to test with", "test")
    assert "to · en · train · decontaminate · 13 bytes" in textmill("sample", "documents", "--split", "train")
    assert "there are test (1), train (1)" in textmill("sample", "documents", "--split", "dev", code=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["removed", "--reason", "gopher_repetition"], "there are too_short (2), empty (1), near_duplicate (1)"),
        (["removed", "--stage", "pretrain"], "there are clean (3), dedup (1)"),
        (["documents", "--language", "xx"], "there are en (2)"),
        (["documents", "--reason", "empty"], "No such option"),
        (["removed", "-n", "0"], "-n"),
        (["duplicates"], "duplicates"),
    ],
)
def test_wrong_wishes_are_answered_with_what_there_is(lake: Lake, arguments: list[str], words: str) -> None:
    assert words in textmill("sample", *arguments, code=2)


def test_an_empty_lake(home: Path) -> None:
    assert textmill("sample", "removed") == ""
    assert data("sample", "documents") == []
