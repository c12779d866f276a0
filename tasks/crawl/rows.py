"""Rows of JSON lines, JSON, CSV and Parquet as records: one column is the text, the others say where it came from."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from tasks.crawl.config import FieldNames
from tasks.crawl.source_record import Record, date_of

Row = dict[str, Any]
GIVE_UP = 100_000  # broken lines in a row, after which a file is no JSON lines at all
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class RowReader:
    """Makes records of rows. `limit`: bytes of one text."""

    def __init__(self, fields: FieldNames, limit: int) -> None:
        self._fields, self._limit = fields, limit
        self._text, self._id, self._url, self._title, self._date = (
            field_getter(name) for name in (fields.text, fields.id, fields.url, fields.title, fields.date)
        )

    def record(self, row: Any) -> Record:
        """Return the record of a row, or the problem with it."""
        text = self._text(row) if isinstance(row, dict) else None
        if isinstance(text, str):
            charset: str | None = "utf-8"
            try:
                content = text.encode()
            except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
                content = text.encode("utf-8", "replace")
        elif isinstance(text, bytes):
            content, charset = text, None
        else:
            return Record(problem="no_text", detail=f"no string in {self._fields.text!r} (crawl.fields.text)")
        size = len(content)
        if size > self._limit:
            return Record(problem="too_large", detail=f"{size:,} bytes (crawl.max_page_megabytes)", n_bytes=size)
        return Record(
            content,
            self._fields.mime,
            _string(self._id(row)) or "",
            _string(self._url(row)),
            _string(self._title(row)),
            charset,
            date_of(self._date(row)),
            None,
            None,
            size,
        )

    # -- JSON --------------------------------------------------------------------------------------------------------

    def json_lines(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield a record for each line that is not blank; a broken one costs itself only."""
        import orjson

        limit = 6 * self._limit + 65_536  # JSON may write a character as \\uXXXX
        stream, broken, make = as_utf8(stream), 0, self.record
        while line := stream.readline(limit):
            try:
                yield make(orjson.loads(line))
                broken = 0
                continue
            except orjson.JSONDecodeError:
                pass
            if len(line) == limit and not line.endswith(b"\n"):
                size = len(line) + _skip_line(stream)
                yield Record(problem="too_large", detail=f"a line of {size:,} bytes", n_bytes=size)
            elif line.strip():
                try:  # what orjson is too strict for: half surrogate pairs, NaN
                    yield make(json.loads(line.decode("utf-8-sig")))
                    broken = 0
                except (ValueError, RecursionError) as error:
                    yield Record(problem="broken_record", detail=_why(error), n_bytes=len(line))
                    broken += 1
                    if broken >= GIVE_UP:
                        detail = f"{broken:,} broken lines in a row; the rest is not read"
                        yield Record(problem="broken_file", detail=detail)
                        return

    def json(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the records of a .json file: rows on lines, an array of rows, or a single row."""
        buffered = as_utf8(stream)
        start = b""
        while not start.strip() and (piece := buffered.readline(65_536)):
            start = piece
        joined = io.BufferedReader(_Joined(start, buffered), 1 << 20)
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            yield from self._json_array(joined)
            return
        try:
            json.loads(start.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            if start.strip() == b"{" or not start.endswith(b"\n"):  # printed over many lines, or one long one
                yield from self._json_row(joined)
                return
        yield from self.json_lines(joined)

    def _json_row(self, stream: IO[bytes]) -> Iterator[Record]:
        limit = 6 * self._limit + 65_536
        whole = stream.read(limit + 1)
        if len(whole) > limit:
            yield Record(problem="too_large", detail=f"a row of more than {limit:,} bytes", n_bytes=len(whole))
            return
        try:
            yield self.record(json.loads(whole.decode("utf-8-sig")))
        except (ValueError, RecursionError) as error:
            yield Record(problem="broken_record", detail=_why(error), n_bytes=len(whole))

    def _json_array(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the elements of an array one at a time; behind a broken element nothing can be trusted any more."""
        decoder, limit = json.JSONDecoder(), 6 * self._limit + 65_536
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="strict")
        window, size = "", 1 << 20
        try:
            window = text.read(size).lstrip().removeprefix("[")
            while True:
                window = window.lstrip(" \t\r\n,")
                if window.startswith("]"):
                    return
                try:
                    row, end = decoder.raw_decode(window)
                    if end == len(window):  # a number may go on
                        raise ValueError("it ends in the middle")
                except ValueError as error:
                    more = text.read(max(size, len(window)))  # doubling: an element is parsed log(length) times
                    if not more or len(window) > limit:
                        detail = f"an element of more than {limit:,} characters" if more else _why(error)
                        problem = "too_large" if more else "broken_record"
                        yield Record(problem=problem, detail=detail, n_bytes=len(window))
                        return
                    window += more
                    continue
                yield self.record(row)
                window = window[end:]
        except (UnicodeDecodeError, RecursionError) as error:
            yield Record(problem="broken_record", detail=_why(error), n_bytes=len(window))

    # -- CSV ---------------------------------------------------------------------------------------------------------

    def csv(self, stream: IO[bytes], delimiter: str) -> Iterator[Record]:
        """Yield the rows of a CSV or TSV file whose first row names the columns (RFC 4180).

        Bytes that are no UTF-8 stay what they are, so that cleaning finds out their encoding.
        """
        dropped: list[Record] = []
        before = csv.field_size_limit(self._limit + 1)
        try:
            rows = csv.reader(self._csv_lines(as_utf8(stream), dropped), delimiter=delimiter)
            header: list[str] | None = None
            while True:
                broken: csv.Error | None = None
                try:
                    values = next(rows, None)
                except csv.Error as error:
                    values, broken = [], error
                yield from dropped
                dropped.clear()
                if broken is not None:
                    yield Record(problem="broken_record", detail=_why(broken))
                    continue
                if values is None:
                    return
                if header is None:
                    header = values
                    if self._fields.text not in header:
                        yield _no_column(self._fields.text, header)
                        return
                elif len(values) == len(header):
                    row: Row = dict(zip(header, values, strict=True))
                    row[self._fields.text] = _undecoded(row[self._fields.text])
                    yield self.record(row)
                elif values:
                    detail = f"{len(values)} values for {len(header)} columns"
                    yield Record(problem="broken_record", detail=detail)
        finally:
            csv.field_size_limit(before)

    def _csv_lines(self, stream: IO[bytes], dropped: list[Record]) -> Iterator[str]:
        """The lines of a CSV file, with the line ends inside of quotes; one too long for any row is dropped."""
        limit = 4 * self._limit + 65_536
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        while line := text.readline(limit):
            if len(line) == limit and not line.endswith(("\n", "\r")):
                size = limit
                while (rest := text.readline(1 << 20)) and not rest.endswith(("\n", "\r")):
                    size += len(rest)
                size += len(rest)
                dropped.append(Record(problem="too_large", detail=f"a line of {size:,} characters", n_bytes=size))
            else:
                yield line

    # -- Parquet -----------------------------------------------------------------------------------------------------

    def parquet(self, path: Path) -> Iterator[Record]:
        """Yield the rows of a Parquet file; a damaged row group costs its own rows."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            yield Record(problem="broken_file", detail=_why(error))
            return
        with file:
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
                        yield Record(problem="broken_record", detail=f"row group {group}: {_why(error)}")


def field_getter(name: str) -> Callable[[Row], Any]:
    """Return a function that takes a field out of a row: by its own name, or, with dots, out of nested ones."""
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


def as_utf8(stream: IO[bytes]) -> IO[bytes]:
    """Return the stream, recoded to UTF-8 where it begins with the mark of UTF-16 or UTF-32."""
    head = stream.peek(4)[:4]  # type: ignore[attr-defined]
    codec = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if codec is None:
        return stream
    return io.BufferedReader(_Recoded(stream, codec), 1 << 20)


class _Recoded(io.RawIOBase):
    """A stream of another encoding as UTF-8."""

    def __init__(self, stream: IO[bytes], codec: str) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(codec)("replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read(65_536)
            self._rest = self._decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data and not self._rest:
                return 0
        out, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(out)] = out
        return len(out)


class _Joined(io.RawIOBase):
    """What was read from a stream already, and the rest of it."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data, self._start = self._start[: len(buffer)], self._start[len(buffer) :]
        data = data or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _rows(batch: Any) -> Iterator[Any]:
    """The rows of a batch as dicts; a value that is no UTF-8, which Arrow does not check, is a problem of its row."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for number in range(batch.num_rows):
            try:
                yield {name: _value(column[number]) for name, column in zip(batch.schema.names, batch, strict=True)}
            except ValueError as error:
                yield Record(problem="broken_record", detail=_why(error))


def _value(scalar: Any) -> Any:
    """The value of a cell; None for a moment before the year 1 or after the year 9999, which Python has no date for."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        return None


def _skip_line(stream: IO[bytes]) -> int:
    size = 0
    while rest := stream.readline(1 << 20):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def _undecoded(text: str) -> str | bytes:
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _string(value: Any) -> str | None:
    if value is None or value == "" or value != value:  # NaN, which is no number
        return None
    return value if isinstance(value, str) else str(value)


def _no_column(name: str, names: list[str]) -> Record:
    have = ", ".join(names[:20])[:200]
    return Record(problem="no_text_column", detail=f"no column {name!r} among {have} (crawl.fields.text)")


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
