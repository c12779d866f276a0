"""`textmill sql`: for people as a table, for programs as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from typer.testing import CliRunner

from data_lake.store.lake import Lake
from data_lake.tables import schemas
from flows.cli.main import app
from tests.lakes import commit, documents
from tests.terminal import data, textmill


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


def test_a_view_that_is_of_another_recipe_says_so(lake: Lake) -> None:
    asked = ["sql", "SELECT count(*) FROM documents", "--json"]
    assert "another recipe" not in CliRunner().invoke(app, asked).stderr
    config = {"seeds": ["https://other.example/"]}
    crawled = commit(lake, "crawl", {"pages.parquet": schemas.PAGES.empty_table()}, config=config, hour=5)
    newest = commit(lake, "clean", {"documents/part-00000.parquet": documents("x y")}, (crawled,), hour=6)
    done = CliRunner().invoke(app, asked)
    assert json.loads(done.stdout) == [{"count_star()": 2}]
    said = " ".join(done.stderr.split())
    assert "documents has rows of dedup/" in said
    assert f"not from the newest clean, {newest.name}" in said
    assert "from https://other.example/" in said
    assert "another recipe" not in CliRunner().invoke(app, ["sql", "SELECT count(*) FROM artifacts"]).stderr
    commit(lake, "dedup", {"documents/part-00000.parquet": documents("x y")}, (newest,), hour=7)
    assert "another recipe" not in CliRunner().invoke(app, asked).stderr
