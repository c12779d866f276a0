"""The rows of a benchmark's file with their numbers; one that cannot be read is named and does not stop the rest."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.benchmarks.base import BadRow, Benchmark, Row
from tasks.corpus.crawl.csv_rows import CsvRows
from tasks.corpus.crawl.file_kinds import kind_of
from tasks.corpus.crawl.json_rows import JsonRows
from tasks.corpus.crawl.recoded import as_utf8, encoding_of
from tasks.corpus.crawl.source_record import Record, why
from tasks.corpus.crawl.streams import open_unpacked
from tasks.stage import PermanentError

_MAX_BYTES = 1 << 32  # of a file once unpacked
_MAX_ROW = 1 << 28

Numbered = tuple[int, Row | BadRow]


def rows_of(benchmark: Benchmark, path: Path) -> Iterator[Numbered]:
    """Yield (number from 1, row or what is wrong with it); PermanentError if the file as a whole cannot be read."""
    kind = ".arrow" if path.name.endswith(".arrow") else kind_of(path)
    try:
        if kind == ".parquet":
            yield from _table(path, _parquet_batches(path))
        elif kind == ".arrow":
            yield from _table(path, _arrow_batches(path))
        else:
            yield from _unpacked(benchmark, path, kind)
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror or error}).") from error


def foreign_encoding(path: Path) -> str | None:
    """Return the encoding in which a file of text is read if it is not UTF-8."""
    kind = kind_of(path)
    if kind in (".parquet", None) and not path.name.endswith((".txt", ".text")):
        return None
    with open_unpacked(path, _MAX_BYTES) as stream:
        return encoding_of(stream)


def _unpacked(benchmark: Benchmark, path: Path, kind: str | None) -> Iterator[Numbered]:
    number = 0
    with open_unpacked(path, _MAX_BYTES) as stream:
        if kind in (".jsonl", ".ndjson", ".json"):
            rows = _json(stream, lines=kind != ".json")
        elif kind in (".csv", ".tsv"):
            rows = (_unnamed_csv if benchmark.columns else _csv)(benchmark, stream, kind)
        else:
            rows = _lines(benchmark, path, stream)
        for number, row in enumerate(rows, start=1):
            yield number, row
        if stream.problem:
            yield number + 1, BadRow(f"the file is damaged from here on: {stream.problem[1]}")


def _json(stream: IO[bytes], *, lines: bool) -> Iterator[Row | BadRow]:
    made: list[Row | BadRow] = []

    def make(row: Any, odd: bool) -> Record:
        if odd:
            made.append(BadRow("it has bytes that are not UTF-8"))
        elif not isinstance(row, dict):
            made.append(BadRow("it is no object with the fields of an item"))
        else:
            made.append(row)
        return Record()

    reader = JsonRows(make, _MAX_ROW)
    for record in reader.lines(stream) if lines else reader.values(stream):
        yield BadRow(f"it is not JSON ({record.detail})") if record.problem else made.pop()
        made.clear()


def _csv(benchmark: Benchmark, stream: IO[bytes], kind: str) -> Iterator[Row | BadRow]:
    """Yield the rows of a table with a header."""
    before = csv.field_size_limit(_MAX_ROW)
    try:
        found = CsvRows(stream, kind, "", "auto", "", _MAX_ROW)
        for row in found.rows():
            if not isinstance(row, Record):
                yield dict(zip(found.header, row, strict=True))
            elif row.problem == "header_again":
                yield BadRow("it repeats the names of the columns")
            else:
                yield BadRow(f"it is not a row of this table ({(row.detail or '').replace(' (crawl.csv)', '')})")
    finally:
        csv.field_size_limit(before)


def _unnamed_csv(benchmark: Benchmark, stream: IO[bytes], kind: str) -> Iterator[Row | BadRow]:
    """Yield the rows of a table whose authors name no columns; a first row with their names is taken for a header.

    Values are taken as they are, as the csv module reads them: a space at the end of a choice is scored too.
    """
    text = io.TextIOWrapper(as_utf8(stream), "utf-8-sig", errors="surrogateescape", newline="")
    tabs = kind == ".tsv"
    before = csv.field_size_limit(_MAX_ROW)
    try:
        rows = csv.reader(text, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        names: list[str] | None = None
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(f"it is not a row of this table ({error})")
                continue
            if not row:  # a blank line
                continue
            if names is None:
                names = row if benchmark.columns[0] in row else list(benchmark.columns)
                if names is row:
                    continue
            if len(row) != len(names):
                yield BadRow(f"it has {len(row)} columns, not {', '.join(names)}")
            else:
                yield dict(zip(names, row, strict=True))
    finally:
        csv.field_size_limit(before)
        text.detach()


def _lines(benchmark: Benchmark, path: Path, stream: IO[bytes]) -> Iterator[Row | BadRow]:
    if benchmark.plain_text is None:
        raise PermanentError(
            f"{path} is no file of {benchmark.name}: it is read from jsonl, json, csv, tsv, parquet or arrow."
        )
    for number, line in enumerate(as_utf8(stream), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield BadRow("it has bytes that are not UTF-8")
            continue
        yield benchmark.plain_text(text) if text.strip() else BadRow("it is empty")


def _table(path: Path, batches: Iterator[Any]) -> Iterator[Numbered]:
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise PermanentError(f"{path} cannot be read from row {number + 1} on ({why(error)}).") from error


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=1024)


def _arrow_batches(path: Path) -> Iterator[Any]:
    """Yield the batches of a file that `datasets` saved (a stream), or of an Arrow (Feather) file."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            source.seek(0)
            file = pa.ipc.open_file(source)
            yield from (file.get_batch(number) for number in range(file.num_record_batches))
            return
        yield from reader
