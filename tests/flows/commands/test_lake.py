"""`textmill artifacts`, `show` and `sql`: for people, and for programs with --json and --csv."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_lake.store import Lake
from flows.cli import app
from tests.lakes import commit, documents, small_lake


@pytest.fixture
def lake(home: Path) -> Lake:
    return small_lake(home / "lake")


def textmill(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
    """Run the command in this process; returns stdout, or stderr when it is to fail."""
    done = CliRunner().invoke(app, arguments, input=stdin)
    assert done.exit_code == code, done.output
    return done.stderr if code else done.stdout


def data(*arguments: str) -> Any:
    return json.loads(textmill(*arguments, "--json"))


def test_artifacts_newest_first(lake: Lake) -> None:
    found = data("artifacts")
    assert [a["stage"] for a in found] == ["dedup", "clean", "clean", "crawl"]
    assert found[0]["metrics"] == {"duplicate_share": pytest.approx(1 / 3), "unknown": None}
    assert [a["stage"] for a in data("artifacts", "clean")] == ["clean", "clean"]
    shown = textmill("artifacts")
    assert all(artifact["artifact"] in shown for artifact in found)
    assert "2 documents" in shown


def test_an_empty_lake_says_what_fills_it(home: Path) -> None:
    assert data("artifacts") == []
    assert textmill("artifacts") == ""
    assert "is empty" in textmill("show", "dedup", code=2)


def test_show_by_stage_key_and_prefix(lake: Lake) -> None:
    newest, older = lake.artifacts("clean")
    assert data("show", "clean")["key"] == newest.key
    assert data("show", older.name)["key"] == older.key
    assert data("show", older.key[:9])["key"] == older.key
    assert data("show", f"clean/{older.key[:9]}")["artifact"] == older.name
    assert "has no artifact" in textmill("show", "clean/zz", code=2)


def test_show_says_everything(lake: Lake) -> None:
    text = textmill("show", "clean")
    for word in (
        "min_words",
        "removed: too_short",
        "71",
        "documents/part-00000.parquet",
        "tasks.clean",
        "abc with changes",
    ):
        assert word in text
    found = data("show", "clean")
    assert found["damage"] is None
    assert found["ledger"]["removed"]["too_short"]["documents"] == 2


def test_show_says_what_is_damaged(lake: Lake) -> None:
    dedup = lake.artifacts("dedup")[0]
    with (dedup.path / "duplicates.parquet").open("r+b") as file:
        file.write(b"X")
    assert "duplicates.parquet" in data("show", "dedup")["damage"]
    assert "DAMAGED" in textmill("show", "dedup")


def test_sql_as_table_json_and_csv(lake: Lake) -> None:
    query = "SELECT reason, count(*) AS n, NULL::TIMESTAMP AS t FROM removed GROUP BY 1 ORDER BY 1"
    assert data("sql", query)[0] == {"reason": "empty", "n": 1, "t": None}
    rows = list(csv.reader(io.StringIO(textmill("sql", query, "--csv"))))
    assert rows == [["reason", "n", "t"], ["empty", "1", ""], ["near_duplicate", "1", ""], ["too_short", "2", ""]]
    assert "too_short" in textmill("sql", query)
    assert data("sql", "SELECT 1 WHERE false") == []
    assert data(
        "sql", "SELECT 'nan'::DOUBLE x, [1, NULL] y, {'a': 1.5::DECIMAL(3, 1)} z, TIMESTAMP '2026-01-01' t"
    ) == [{"x": None, "y": [1, None], "z": {"a": 1.5}, "t": "2026-01-01T00:00:00"}]
    assert json.loads(textmill("sql", "-", "--json", stdin="SELECT 7 AS n")) == [{"n": 7}]


def test_text_of_the_web_is_neither_markup_nor_control_codes(lake: Lake) -> None:
    shown = textmill("sql", "SELECT text FROM documents WHERE text LIKE '%delta%'")
    assert "[bold]delta[/bold]" in shown
    assert "\x1b" not in shown


def test_a_long_result_is_cut_for_people_only(lake: Lake) -> None:
    done = CliRunner().invoke(app, ["sql", "SELECT * FROM range(250)", "--limit", "10"])
    assert "240 more rows" in done.stderr
    assert len(data("sql", "SELECT * FROM range(250)")) == 250


def test_wide_rows_are_whole_in_a_pipe(home: Path) -> None:
    commit(Lake(home / "lake"), "clean", {"documents/part-00000.parquet": documents("word " * 50)})
    assert "word " * 20 in textmill("sql", "SELECT text FROM documents").replace("\n", " ")
