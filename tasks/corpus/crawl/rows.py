"""Rows of JSON lines, JSON, CSV and Parquet as records: one column is the text, the others say where it came from."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from tasks.corpus.crawl.csv_rows import CsvRows
from tasks.corpus.crawl.json_rows import JsonRows
from tasks.corpus.crawl.row_config import CsvFormat, FieldNames
from tasks.corpus.crawl.source_record import Record, date_of, why

Row = dict[str, Any]
_HALVES = re.compile("[\ud800-\udfff]")


class RowReader:
    """Turns rows into records. `limit`: maximum bytes of one text."""

    def __init__(self, fields: FieldNames, limit: int) -> None:
        self._fields, self._limit = fields, limit
        self._text, self._id, self._url, self._title, self._date = (
            field_getter(name) for name in (fields.text, fields.id, fields.url, fields.title, fields.date)
        )

    def record(self, row: Any, odd: bool = False) -> Record:
        """Return the record of a row, or the problem with it. odd: half surrogates are bytes that were not UTF-8."""
        text = self._text(row) if isinstance(row, dict) else None
        if isinstance(text, str):
            charset: str | None = "utf-8"
            try:
                content = text.encode()
            except UnicodeEncodeError:
                content, charset = _encoded(text, odd)
        elif isinstance(text, bytes):
            content, charset = text, None
        else:
            return Record(problem="no_text", detail=self._without_text(row))
        size = len(content)
        if size > self._limit:
            return Record(problem="too_large", detail=f"{size:,} bytes (crawl.max_page_megabytes)", n_bytes=size)
        return Record(
            content,
            self._fields.mime,
            _string(self._id(row)) or "",
            _text_of(self._url(row)),
            _text_of(self._title(row)),
            charset,
            date_of(self._date(row)),
            None,
            None,
            size,
        )

    def _without_text(self, row: Any) -> str:
        name = self._fields.text
        if not isinstance(row, dict):
            return f"the row is not an object but {_kind(row)}"
        if (value := self._text(row)) is not None:
            return f"{name!r} is not a string but {_kind(value)} (crawl.fields.text)"
        if name in row:
            return f"{name!r} is null (crawl.fields.text)"
        return f"no field {name!r} among {_listed(row)} (crawl.fields.text)"

    def json_lines(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield a record for each row of a file of JSON lines; a broken row loses only itself."""
        return JsonRows(self.record, 6 * self._limit + 65_536).lines(stream)  # a character may be written as \\uXXXX

    def json(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the records of a .json file: rows in an array or one after the other, or one object that holds them."""
        return JsonRows(self.record, 6 * self._limit + 65_536, self._expanded).values(stream)

    def _expanded(self, row: Any) -> list[Any]:
        """The rows at the top level of a .json file: a row, a text, or rows in one of pandas' layouts."""
        if isinstance(row, str):
            return [{self._fields.text: row}]
        rows = None
        if isinstance(row, dict) and not isinstance(self._text(row), str):
            rows = rows_within(row, self._text)
        return rows or [row]

    def csv(self, stream: IO[bytes], suffix: str, config: CsvFormat) -> Iterator[Record]:
        """Yield the rows of a .csv or .tsv file whose first row names the columns.

        Bytes that are not UTF-8 are left unchanged, so that cleaning can detect their encoding.
        """
        before = csv.field_size_limit(self._limit + 1)
        try:
            name = self._fields.text
            found = CsvRows(stream, suffix, config.delimiter, config.quoting, name, self._limit)
            if name not in found.header:
                yield _no_column(name, found.header)
                return
            for row in found.rows():
                if isinstance(row, Record):
                    yield row
                else:
                    yield self.record(dict(zip(found.header, row, strict=True)), True)
        finally:
            csv.field_size_limit(before)

    # -- Parquet -----------------------------------------------------------------------------------------------------

    def parquet(self, path: Path) -> Iterator[Record]:
        """Yield the rows of a Parquet file; a damaged row group loses only its own rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with contextlib.ExitStack() as stack:
            try:
                try:
                    file = pq.ParquetFile(path)
                except UnicodeEncodeError:  # Arrow cannot open a file name that is not UTF-8
                    file = pq.ParquetFile(stack.enter_context(open(path, "rb")))
                stack.enter_context(file)
            except (pa.ArrowException, OSError) as error:
                yield Record(problem="broken_file", detail=why(error))
                return
            names = file.schema_arrow.names
            fields = self._fields
            wanted = [fields.text, fields.id, fields.url, fields.title, fields.date]
            columns = list(dict.fromkeys(c for name in wanted for c in (name, name.split(".")[0]) if c in names))
            if fields.text not in names and fields.text.split(".")[0] not in names:
                yield _no_column(fields.text, names)
                return
            for group in range(file.num_row_groups):
                expected, read = file.metadata.row_group(group).num_rows, 0
                try:
                    for batch in file.iter_batches(256, row_groups=[group], columns=columns):
                        for row in _rows(batch):
                            read += 1
                            yield self.record(row) if isinstance(row, dict) else row
                except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                    for _ in range(expected - read):
                        yield Record(problem="broken_record", detail=f"row group {group}: {why(error)}")


def field_getter(name: str) -> Callable[[Row], Any]:
    """Return a function that takes a field from a row: by its full name or, with dots, from nested fields."""
    if "." not in name:
        return lambda row: row.get(name)
    parts = name.split(".")

    def get(row: Row) -> Any:
        if name in row:
            return row[name]
        value: Any = row
        for part in parts:
            if not isinstance(value, dict):
                return None
            value = value.get(part)
        return value

    return get


def _rows(batch: Any) -> Iterator[Any]:
    """The rows of a batch as dicts; a non-UTF-8 value, which Arrow does not check for, is its row's problem."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for number in range(batch.num_rows):
            try:
                yield {name: _value(column[number]) for name, column in zip(batch.schema.names, batch, strict=True)}
            except ValueError as error:
                yield Record(problem="broken_record", detail=why(error))


def _value(scalar: Any) -> Any:
    """The value of a cell; None for a time before year 1 or after year 9999, which Python's dates cannot express."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        return None


def _encoded(text: str, odd: bool) -> tuple[bytes, str | None]:
    """The bytes of a text with half surrogates, and its charset; None = to be detected."""
    if odd:
        try:
            return text.encode("utf-8", "surrogateescape"), None
        except UnicodeEncodeError:  # it has other half surrogates too
            pass
    return _HALVES.sub("\ufffd", text).encode(), "utf-8"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {
        list: "a list",
        dict: "an object",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
    }
    return names.get(type(value), type(value).__name__)


def _string(value: Any) -> str | None:
    if type(value) is str:
        return value or None
    if value is None or value == "" or value != value:  # NaN, which means no value
        return None
    return str(value)


def _text_of(value: Any) -> str | None:
    """A text, or the only item of a list; None for anything else that is not a number."""
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return _string(value) if isinstance(value, str | int | float) else None


def _no_column(name: str, names: Iterable[str]) -> Record:
    return Record(problem="no_text_column", detail=f"no column {name!r} among {_listed(names)} (crawl.fields.text)")


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, itertools.islice(names, 20)))[:200]


def rows_within(row: Row, text: Callable[[Row], Any]) -> list[Any] | None:
    """The rows that one object contains: a list under any name, or one of the layouts in which pandas writes a
    table (columns, split, index); None if it contains none."""
    columns = text(row)
    if isinstance(columns, dict) and columns and all(isinstance(value, dict) for value in row.values()):
        return [{name: column.get(key) for name, column in row.items()} for key in columns]
    names, data = row.get("columns"), row.get("data")
    if isinstance(names, list) and isinstance(data, list) and all(isinstance(each, list) for each in data):
        return [dict(zip(map(str, names), each, strict=False)) for each in data]
    lists = [value for value in row.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if columns is None and len(lists) == 1:
        return lists[0]
    if row and columns is None and all(isinstance(value, dict) and text(value) is not None for value in row.values()):
        return list(row.values())
    return None
