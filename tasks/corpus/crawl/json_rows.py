"""Rows in JSON files: one per line, several on one line, spread over many lines, or the elements of an array."""

from __future__ import annotations

import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import IO, Any

from tasks.corpus.crawl.recoded import as_utf8
from tasks.corpus.crawl.source_record import Record, why

GIVE_UP = 100_000  # consecutive broken lines after which the rest of a file is not read
_BETWEEN = re.compile("[ \t\r\n,\x1e\ufeff]*")  # rows; \x1e is RFC 7464's separator, \ufeff comes from joined files
_MARGIN_TRIES = 16
_DECODER = json.JSONDecoder(strict=False)  # raw tabs and line ends in strings are not JSON, but unambiguous


class JsonRows:
    """Reads rows and makes a record of each. `limit`: maximum bytes of one row.

    make: called with a row and whether its strings contain bytes that are not UTF-8 (as lone surrogates).
    expand: returns the rows contained in a JSON value, for files in which one value may hold several rows.
    """

    def __init__(
        self, make: Callable[[Any, bool], Record], limit: int, expand: Callable[[Any], list[Any]] | None = None
    ) -> None:
        self._make, self._limit, self._expand = make, limit, expand

    def lines(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield a record for each row of JSON lines; a broken row does not affect the others."""
        import orjson

        stream, broken, make, expand, limit = as_utf8(stream), 0, self._make, self._expand, self._limit
        if _first_byte(stream) == b"[":  # a whole array, whatever the file's name says
            yield from self._array(stream)
            return
        ahead: deque[bytes] = deque()
        while line := (ahead.popleft() if ahead else stream.readline(limit)):
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                pass
            else:
                if expand is None:
                    yield make(row, False)
                else:
                    yield from self._made(row, False)
                broken = 0
                continue
            if len(line) == limit and not line.endswith(b"\n"):
                size = len(line) + _skip_line(stream)
                yield Record(problem="too_large", detail=f"a line of {size:,} bytes", n_bytes=size)
                continue
            for record in self._odd_line(line, ahead, stream):
                yield record
                broken = broken + 1 if record.problem == "broken_record" else 0
            if broken >= GIVE_UP:
                detail = f"{broken:,} broken lines in a row; the rest is not read"
                yield Record(problem="broken_file", detail=detail)
                return

    def values(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the records of a .json file: an array of rows, a single row, or several rows in succession."""
        stream = as_utf8(stream)
        if _first_byte(stream) == b"[":
            yield from self._array(stream)
        else:
            yield from self.lines(io.BufferedReader(_Stripped(stream), 1 << 20))

    def _odd_line(self, line: bytes, ahead: deque[bytes], stream: IO[bytes]) -> Iterator[Record]:
        """Yield the rows of a line that orjson refuses: lone surrogates, NaN, several rows, or part of a row."""
        text, odd = _decoded(line)
        at = 0
        while (at := _BETWEEN.match(text, at).end()) < len(text):  # type: ignore[union-attr]
            try:
                row, at = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                whole = None
                if line[:1] in (b"{", b"[", b"\xef") and text[at] in "{[" and isinstance(error, ValueError):
                    whole = self._gathered(text[at:], ahead, stream)
                if whole is None:
                    yield Record(problem="broken_record", detail=why(error), n_bytes=len(line))
                    return
                text, at = whole, 0
                odd = odd or any("\udc80" <= letter <= "\udcff" for letter in text)
                continue
            yield from self._made(row, odd)

    def _made(self, row: Any, odd: bool) -> Iterator[Record]:
        for each in [row] if self._expand is None else self._expand(row):
            yield self._make(each, odd)

    def _gathered(self, text: str, ahead: deque[bytes], stream: IO[bytes]) -> str | None:
        """Return the text plus as many next lines as complete its first row; None if no number of lines does.

        Stops before the next line that begins a row, so that a truncated line does not cost another one; no line is
        gathered twice. A row of many lines is parsed again only each time its size has doubled.
        """
        lines: list[bytes] = []
        parts, size, next_try, tries = [text], len(text), 0, 0
        while size <= self._limit:
            line = ahead.popleft() if ahead else stream.readline(self._limit)
            over = not line or line[:1] in (b"{", b"[")
            if over and line:
                ahead.appendleft(line)
            if not over:
                lines.append(line)
                parts.append(_decoded(line)[0])
                size += len(line)
                tries += (margin := line[:1] in (b"}", b"]") and tries < _MARGIN_TRIES)
                if not (margin or (size >= next_try and line.rstrip().endswith((b"}", b"]", b",")))):
                    continue
            whole = "".join(parts)
            try:
                _DECODER.raw_decode(whole)
                return whole
            except (ValueError, RecursionError):
                next_try = 2 * size
            if over:
                break
        ahead.extendleft(reversed(lines))
        return None

    def _array(self, stream: IO[bytes]) -> Iterator[Record]:
        """Yield the elements of one or more arrays, one at a time; stop at a broken one: the rest cannot be trusted."""
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape")
        window, size, inside, last = "", 1 << 20, False, False
        try:
            while True:
                at = _BETWEEN.match(window).end()  # type: ignore[union-attr]
                if at == len(window):
                    if not (window := text.read(size)):
                        if inside:
                            yield Record(problem="broken_record", detail="the file ends within an array")
                        return
                    continue
                if window[at] == ("]" if inside else "["):
                    inside, window = not inside, window[at + 1 :]
                    continue
                window = window[at:]
                try:
                    row, end = _DECODER.raw_decode(window)
                    if end == len(window) and not last and not isinstance(row, dict):
                        raise ValueError("it ends in the middle")  # a number may continue
                except ValueError as error:
                    more = text.read(max(size, len(window)))  # doubling: an element is parsed log(length) times
                    last = not more
                    if last or len(window) > self._limit:
                        detail = f"an element of more than {self._limit:,} characters" if more else why(error)
                        problem = "too_large" if more else "broken_record"
                        detail += "; what follows it is not read"
                        yield Record(problem=problem, detail=detail, n_bytes=len(window))
                        return
                    window += more
                    continue
                yield from self._made(row, not window.isascii() and _is_odd(window[:end]))
                window = window[end:]
        except RecursionError as error:
            yield Record(problem="broken_record", detail=why(error), n_bytes=len(window))


class _Stripped(io.RawIOBase):
    """A stream without its leading whitespace, so that its first row starts at the beginning of a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._begun = stream, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        while not self._begun and data:
            data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
            self._begun = bool(data)
            data = data or self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _first_byte(stream: IO[bytes]) -> bytes:
    """Return the first byte that is not whitespace, as far as it can be seen without reading on."""
    start: bytes = stream.peek(4096)[:4096]  # type: ignore[attr-defined]
    return start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _decoded(line: bytes) -> tuple[str, bool]:
    """Return the text of a line and whether it has bytes that are not UTF-8, which are kept as lone surrogates."""
    try:
        return line.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return line.decode("utf-8-sig", "surrogateescape"), True


def _is_odd(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _skip_line(stream: IO[bytes]) -> int:
    size = 0
    while rest := stream.readline(1 << 20):
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size
