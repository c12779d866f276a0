"""Rows of CSV and TSV files: quoting as in RFC 4180, and the deviations found in real files.

A quotation mark that opens a field and is never properly closed would swallow all rows up to the next one. So a row is
read as RFC 4180 says only if it conforms to it; otherwise, reading continues after the first line of the row.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO, Literal

from tasks.corpus.crawl.recoded import as_utf8
from tasks.corpus.crawl.source_record import Record, why

Quoting = Literal["auto", "double", "backslash", "none"]
_SEP = re.compile(r'"?sep=(.)"?\r?\n?\Z')  # Excel's first line
_ESCAPE = re.compile(r'\\([\\"])')


class CsvRows:
    """The rows of a file: `header` is the first row, `rows` yields the others, or what is wrong with them.

    suffix: .csv or .tsv. delimiter: "" = the suffix's, or another one that makes `wanted` a column of the header.
    limit: maximum characters of one value. Bytes that are not valid UTF-8 are kept as lone surrogates.
    """

    def __init__(
        self, stream: IO[bytes], suffix: str, delimiter: str, quoting: Quoting, wanted: str, limit: int
    ) -> None:
        self._limit, self._longest, self._quoting = limit, 4 * limit + 65_536, quoting
        self._text = io.TextIOWrapper(as_utf8(stream), "utf-8-sig", errors="surrogateescape", newline="")
        self._ahead: deque[str] = deque()  # lines to read before the next line of the file
        self._taken: list[str] = []  # the lines of the row being read
        self._dropped: list[Record] = []
        first = self._first_line()
        if (named := _SEP.match(first)) is not None:
            delimiter, first = named[1], self._first_line()
        usual = "\t" if suffix == ".tsv" else ","
        self._delimiter = delimiter or _delimiter_of(first, usual, wanted)
        self._blanks = self._delimiter + " " in first  # "id, text": the space is not part of the value
        self._reader = self._new_reader()
        if first:
            self._ahead.appendleft(first)
        found = next(self._read(0), [])
        self._header = found if isinstance(found, list) else []
        self.header = [value.strip() for value in self._header]

    def rows(self) -> Iterator[list[str] | Record]:
        """Yield the rows after the header."""
        for row in self._read(len(self.header)):
            if self._dropped:
                yield from self._dropped
                self._dropped.clear()
            if isinstance(row, Record):
                yield row
            elif len(row) == len(self.header):
                if row[0].endswith(self._header[0]) and _names(row) == self.header:
                    yield Record(problem="header_again", detail="the header is repeated here: files were joined")
                else:
                    yield row
            elif row:
                detail = f"{len(row)} values for {len(self.header)} columns (crawl.csv)"
                yield Record(problem="broken_record", detail=detail)
        yield from self._dropped

    def _read(self, columns: int) -> Iterator[list[str] | Record]:
        """Yield the rows from here on, blank lines included. columns: how many values a row should have."""
        tabs = self._delimiter == "\t" and self._quoting == "auto"
        while True:
            if tabs or self._quoting == "none":
                if not (line := self._next_line()):
                    return
                values = self._split(line)
                if self._quoting == "none" or '"' not in line:
                    yield values if values != [""] else []
                    continue
                whole = [_unquoted(value) for value in values]
                if not any(value.startswith('"') and value == same for value, same in zip(whole, values, strict=True)):
                    yield whole
                    continue
                self._ahead.appendleft(line)
            self._taken.clear()
            try:
                row = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._repaired(error, columns, tabs)
                continue
            if tabs and not self._is_quoted(row, columns):
                self._ahead.extendleft(reversed(self._taken[1:]))
                yield [_unquoted(value) for value in self._split(self._taken[0])]
            else:
                yield row

    def _is_quoted(self, row: list[str], columns: int) -> bool:
        """Whether lines that quotation marks join in a tab-separated file are really one row.

        In most such files, quotation marks are ordinary characters. So the lines are separate rows if each of them has
        the right number of values by itself.
        """
        lengths = [len(self._split(line)) for line in self._taken]
        if len(lengths) == 1:
            return len(row) == columns or lengths[0] != columns
        return columns < 2 or any(length != columns for length in lengths)

    def _repaired(self, error: csv.Error, columns: int, tabs: bool) -> list[str] | Record:
        """Read a row that violates RFC 4180: with \\" for a quotation mark, or as one line with literal ones.

        If neither works, its first line is reported as broken. The lines after the first are read again.
        """
        self._ahead.extendleft(reversed(self._taken))
        taken, self._taken = self._taken, []
        self._reader = self._new_reader()
        if not taken:
            return Record(problem="broken_record", detail=why(error))
        if '\\"' in taken[0] and self._quoting == "auto" and (row := self._escaped()) is not None:
            return row
        line = self._ahead.popleft()
        values = self._split(line)
        one_line = (tabs or len(taken) == 1) and self._quoting == "auto" and len(line) <= self._limit
        if one_line and len(values) == columns:
            return [_unquoted(value) for value in values]
        size = len(line.encode("utf-8", "surrogateescape"))
        return Record(
            problem="broken_record",
            detail=f"quotation marks that RFC 4180 does not allow: {error} (crawl.csv.quoting)",
            n_bytes=size,
        )

    def _escaped(self) -> list[str] | None:
        """Return the next row, read with \\" for a quotation mark; None if it is not a valid row that way either."""
        taken: list[str] = []

        def take() -> str:
            taken.append(line := self._next_line())
            return _ESCAPE.sub(lambda found: '""' if found[1] == '"' else "\\", line)

        try:
            return next(csv.reader(iter(take, ""), delimiter=self._delimiter, strict=True))
        except (csv.Error, StopIteration):
            self._ahead.extendleft(line for line in reversed(taken) if line)
            return None

    def _new_reader(self) -> Iterator[list[str]]:
        escape = "\\" if self._quoting == "backslash" else None
        return csv.reader(
            self._lines(),
            delimiter=self._delimiter,
            escapechar=escape,
            skipinitialspace=self._blanks,
            strict=True,
        )

    def _lines(self) -> Iterator[str]:
        """Yield the lines from here on and record each in `_taken`, the lines of the row being read."""
        ahead, readline, limit = self._ahead, self._text.readline, self._longest
        while True:
            line = "" if ahead else readline(limit)
            if not line or len(line) == limit:
                line = self._next_line(line)
                if not line:
                    return
            self._taken.append(line)
            yield line

    def _split(self, line: str) -> list[str]:
        return line.rstrip("\r\n").split(self._delimiter)

    def _first_line(self) -> str:
        while (line := self._next_line()) and not line.strip():
            pass
        return line

    def _next_line(self, line: str = "") -> str:
        """Return the next line with its line end, "" after the last; a line too long for any row is dropped.

        line: the part of it that has already been read.
        """
        if self._ahead:
            return self._ahead.popleft()
        line = line or self._text.readline(self._longest)
        while len(line) == self._longest and not line.endswith(("\n", "\r")):
            size = len(line)
            while (rest := self._text.readline(1 << 20)) and not rest.endswith(("\n", "\r")):
                size += len(rest)
            size += len(rest)
            self._dropped.append(Record(problem="too_large", detail=f"a line of {size:,} characters", n_bytes=size))
            line = self._text.readline(self._longest)
        return line


def _delimiter_of(header: str, usual: str, wanted: str) -> str:
    """Return the delimiter that makes `wanted` a column, trying the usual one first."""
    for delimiter in dict.fromkeys((usual, ",", ";", "\t", "|")):
        if wanted in _names(header.strip("\r\n").split(delimiter)):
            return delimiter
    return usual


def _names(values: Sequence[str]) -> list[str]:
    return [_unquoted(value.strip("\ufeff \t")) for value in values]


def _unquoted(value: str) -> str:
    """Return the value without its outer quotation marks if all inner ones are doubled, else unchanged."""
    if len(value) > 1 and value[0] == value[-1] == '"' and '"' not in (inner := value[1:-1]).replace('""', ""):
        return inner.replace('""', '"')
    return value
