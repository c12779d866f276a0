"""Reads files of pairs: csv, tsv, jsonl, json and parquet, plain or compressed; a broken row costs only itself."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tasks.corpus.crawl.csv_rows import CsvRows
from tasks.corpus.crawl.file_kinds import ROWS, kind_of
from tasks.corpus.crawl.json_rows import JsonRows
from tasks.corpus.crawl.rows import rows_within
from tasks.corpus.crawl.source_record import Record, why
from tasks.corpus.crawl.streams import UnpackedFile, open_unpacked
from tasks.corpus.pairs.sides import NoPair, Pair, columns_of, pair_of
from tasks.stage import PermanentError
from tasks.stage.file_patterns import matching

FORMATS = "csv, tsv, jsonl, json and parquet, plain or compressed (gz, zst, bz2, xz)"
_MAX_BYTES = 64 << 30  # of a file after unpacking
_MAX_ROW = 64 << 20


@dataclass(frozen=True)
class Found:
    """A row of a file: its pair, or the reason why it cannot be used and what it says."""

    place: str  # file#row, counted from 1 without the names of the columns
    pair: Pair | None
    reason: str = ""
    raw: str = ""


def pair_files(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the paths and globs name; PermanentError if one names none, or a file of another kind."""
    found: list[Path] = []
    for pattern in patterns:
        matches = [Path(match) for match in matching(pattern)]
        if not matches:
            raise PermanentError(f"pairs.data names {pattern!r}, but no file matches; paths start at {Path.cwd()}.")
        found += matches
    for path in found:
        if kind_of(path) not in ROWS:
            raise PermanentError(f"pairs.data names {path}, which is no table; pairs are read from {FORMATS}.")
    return list(dict.fromkeys(found))


def read_pairs(path: Path, source: str = "", target: str = "") -> Iterator[Found]:
    """Yield every row of a file. source, target: columns as in the config. PermanentError if it cannot be opened."""
    number = 0
    try:
        for number, row in enumerate(table_rows(path, source, target), start=1):
            yield _found(f"{path.name}#{number}", row, source, target)
    except OSError as error:
        if number == 0:
            raise PermanentError(f"{path} cannot be read: {error.strerror or error}.") from error
        yield Found(f"{path.name}#{number + 1}", None, f"the file cannot be read further: {error.strerror or error}")


def _found(place: str, row: Any, source: str, target: str) -> Found:
    if isinstance(row, Record):
        return Found(place, None, row.detail or row.problem or "")
    try:
        return Found(place, pair_of(row, source, target))
    except NoPair as reason:
        raw = json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
        return Found(place, None, str(reason), raw)


def table_rows(path: Path, source: str = "", target: str = "", kind: str | None = None) -> Iterator[Any]:
    """Yield the rows of a file, and a Record with a problem for what is none; without a kind, its name says it."""
    kind = kind or kind_of(path)
    if kind == ".parquet":
        yield from _parquet(path, source, target)
        return
    with closing(open_unpacked(path, _MAX_BYTES)) as stream:
        yield from _csv(stream, kind, source) if kind in (".csv", ".tsv") else _json(stream, kind, source, target)
        if stream.problem:
            yield Record(problem=stream.problem[0], detail=f"the file is damaged: {stream.problem[1]}")


def _json(stream: IO[bytes], kind: str | None, source: str, target: str) -> Iterator[Any]:
    made: list[Any] = []

    def make(row: Any, odd: bool) -> Record:
        made.append(row)
        return Record()

    def text(row: dict[str, Any]) -> Any:
        """What `rows_within` takes for the text of a row: the source, or a whole column of them."""
        try:
            column = source or columns_of(row)[0]
        except NoPair:
            return None
        value = row.get(column.split(".")[0])
        return value if isinstance(value, str | dict) else None

    def expand(row: Any) -> list[Any]:
        return (rows_within(row, text) if isinstance(row, dict) and not isinstance(text(row), str) else None) or [row]

    lines = kind != ".json"
    reader = JsonRows(make, _MAX_ROW, None if lines else expand)
    for record in reader.lines(stream) if lines else reader.values(stream):
        if record.problem:
            yield record
        else:
            yield made.pop()


def _csv(stream: UnpackedFile, kind: str, source: str) -> Iterator[Any]:
    before = csv.field_size_limit(_MAX_ROW)
    try:
        found = CsvRows(stream, kind, _delimiter(stream, kind), "auto", source, _MAX_ROW)
        names = found.header
        if source.isdigit() and source not in names:  # the first row is a pair like the others
            names = [str(number) for number in range(1, len(names) + 1)]
            if found.header:
                yield dict(zip(names, found.header, strict=True))
        for row in found.rows():
            if not isinstance(row, Record):
                yield dict(zip(names, row, strict=True))
            elif row.problem != "header_again":
                yield row
    finally:
        csv.field_size_limit(before)


def _delimiter(stream: UnpackedFile, kind: str) -> str:
    """Return the delimiter of the first line: the usual one if it occurs, else the most frequent; "" if none does."""
    first = stream.peek(65_536).splitlines()[:1]
    line = first[0].decode("utf-8", "replace") if first else ""
    usual = "\t" if kind == ".tsv" else ","
    most = max(",;\t|", key=line.count)
    return usual if usual in line else most if most in line else ""


def _parquet(path: Path, source: str, target: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = [name for name in names if name in {source, target, source.split(".")[0], target.split(".")[0]}]
            for batch in file.iter_batches(256, columns=wanted if source and wanted else None):
                yield from batch.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError) as error:
        yield Record(problem="broken_file", detail=f"not a readable Parquet file: {why(error)}")
