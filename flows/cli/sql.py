"""`textmill sql`: a query on the lake, answered as a table, JSON or CSV."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Any

import typer

from data_lake.store.home import Home
from flows.cli.arguments import AsJson, lake
from flows.cli.console import UserError, examples, in_sentences, json_text, note, output, plain_text, table, write


@in_sentences
def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="one SELECT, or - to read it from stdin")],
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
    limit: Annotated[int, typer.Option(min=1, help="rows to show in the table; --json and --csv print all")] = 100,
) -> None:
    """Query the lake with SQL, read-only. `textmill sql 'SHOW TABLES'` lists the tables."""
    from data_lake.reading.catalog import Catalog
    from tasks.tracking.watch import mlflow_run_id

    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; give one of them.")
    home = Home.from_env()
    with Catalog(lake(), lambda artifact: mlflow_run_id(home, artifact)) as catalog:
        query = sys.stdin.read() if query == "-" else query
        result = catalog.query(query)
        for sentence in catalog.strangers(query):
            note(sentence)
        for path in catalog.missing[:3]:
            note(f"{path} is missing from the disk and left out; `textmill run` builds it again.")
        if as_json:
            _stream_json(result.columns, result.rows)
        elif as_csv:
            import csv

            writer = csv.writer(_Stdout())
            writer.writerow(result.columns)
            writer.writerows([_cell(value) for value in row] for row in result.rows)
        else:
            _print_rows(result.columns, result.rows, limit)


class _Stdout:
    """The file object for csv.writer."""

    def write(self, text: str) -> None:
        write(text)


def _stream_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a JSON array, one row per line, without holding all of it in memory."""
    first = True
    for row in rows:
        write("[\n" if first else ",\n")
        record = {name: _jsonable(value) for name, value in zip(columns, row, strict=True)}
        write(json_text(record))
        first = False
    write("[]\n" if first else "\n]\n")


def _print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], limit: int) -> None:
    shown = list(islice(rows := iter(rows), limit))
    numeric = [
        name
        for place, name in enumerate(columns)
        if shown and all(isinstance(row[place], int | float | decimal.Decimal | None) for row in shown)
    ]
    made = table("", (), ())
    for name in columns:
        made.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in shown:
        cells = [_cell(value) for value in row]
        # A single row (such as EXPLAIN's drawing) may use several lines; several rows must stay one line each.
        made.add_row(*(plain_text(cell if len(shown) == 1 else cell.replace("\n", "⏎ ")) for cell in cells))
    output().print(made)
    more = sum(1 for _ in rows)
    if more:
        note(f"… and {more:,} more rows; --limit, --csv or --json show them.")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(_jsonable(value), ensure_ascii=False)
    return str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return float(value) if isinstance(value, decimal.Decimal) else _cell(value)


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command(
        rich_help_panel="The lake",
        epilog=examples(
            'textmill sql "SELECT stage, sum(bytes) FROM files GROUP BY stage"',
            'textmill sql "SELECT reason, count(*) FROM removed GROUP BY reason" --csv',
            'textmill sql "SELECT title, n_bytes FROM documents ORDER BY n_bytes DESC" --limit 10',
            "textmill sql 'SHOW TABLES'",
        ),
    )(sql)
