"""Writes and reads the files of a benchmarks artifact: items.parquet and problems.parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.documents import write_parquet
from tasks.benchmarks.base import Item, Row
from tasks.corpus.benchmarks.official import ITEMS

if TYPE_CHECKING:
    import pyarrow as pa

PROBLEMS, FILES = "problems.parquet", "files.json"


def item_schema() -> pa.Schema:
    """Return the columns of an item."""
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    columns = {
        "contexts": pa.list_(text), "choices": pa.list_(text), "gold": pa.list_(number), "subject": text,
        "description": text, "question": text, "answer": text, "facts": text, "document": text,
    }  # fmt: skip
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def schemas() -> dict[str, pa.Schema]:
    """Return the schema of each file."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    where = [("benchmark", text), ("part", text), ("file", text), ("row", number)]
    named = [pa.field(name, kind, nullable=False) for name, kind in where]
    problem = [pa.field("reason", text, nullable=False), pa.field("left_out", pa.bool_(), nullable=False)]
    return {ITEMS: pa.schema([*named, *item_schema()]), PROBLEMS: pa.schema([*named, *problem])}


def as_row(item: Item) -> dict[str, Any]:
    """Return an item as a row of a table."""
    return {**vars(item), "facts": json.dumps(dict(item.facts), sort_keys=True, ensure_ascii=False)}


def as_item(row: Mapping[str, Any]) -> Item:
    """Return the item of a row."""
    return Item(
        tuple(row["contexts"]),
        tuple(row["choices"]),
        tuple(row["gold"]),
        row["subject"],
        row["description"],
        row["question"],
        row["answer"],
        json.loads(row["facts"]),
        row["document"],
    )


def document_of(row: Row) -> str:
    """Return what identifies a row: two rows with equal fields have the same."""
    plain = json.dumps(row, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_table(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one of the artifact's files."""
    import pyarrow as pa

    write_parquet(folder / name, pa.Table.from_pylist([dict(row) for row in rows], schema=schemas()[name]))


def read_items(folder: Path, benchmark: str, part: str) -> list[Item]:
    """Return the items of a benchmark that are asked ("asked") or that shots are drawn from ("shots")."""
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / ITEMS, filters=[("benchmark", "=", benchmark), ("part", "=", part)])
    return [as_item(row) for row in rows.to_pylist()]


def files_in(folder: Path) -> list[dict[str, Any]]:
    """Return the files that were read: benchmark, part, place, bytes and sha256 of each."""
    found: list[dict[str, Any]] = json.loads((folder / FILES).read_text("utf-8"))
    return found


def benchmarks_in(folder: Path) -> list[str]:
    """Return the names of the artifact's benchmarks, in their order."""
    import pyarrow.parquet as pq

    return list(dict.fromkeys(pq.read_table(folder / ITEMS, columns=["benchmark"])["benchmark"].to_pylist()))


def problems_in(folder: Path, benchmarks: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield what was wrong with rows: benchmark, part, file, row, reason, and whether the row was left out."""
    import pyarrow.parquet as pq

    for row in pq.read_table(folder / PROBLEMS).to_pylist():
        if not benchmarks or row["benchmark"] in benchmarks:
            yield row
