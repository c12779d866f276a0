"""Lenient HTTP client: reads, as browsers do, responses that the parser of `fetch` needlessly refuses.

Such responses have two equal lengths, a space before a colon, a length together with chunks, chunks with bare line
feeds, or a longer or shorter body than announced. A connection is used only once, so the start of the next response is
never guessed, which is the danger that strict parsers prevent. The limits are the same as those of `fetch`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from aiohttp.abc import ResolveResult

from tasks.corpus.crawl.decode import Decoder

MAX_LINE = 16_384  # bytes of one line
_MAX_LINES, _MAX_INTERIM = 128, 16  # lines of a head; interim responses (1xx) before the final one
_PIECE = 65_536
_SURPLUS_SECONDS = 0.2  # how long to check whether more comes than was announced
_STATUS = re.compile(rb"\s{0,4}HTTP(?:/\d{1,2}(?:\.\d)?)?[ \t]+(\d{3})(?!\d)[ \t]*(.*)\Z", re.I | re.S)
_CHUNK = re.compile(rb"[ \t]*([0-9a-f]{1,15})[ \t]*(?:;.*)?\Z", re.I | re.S)


class NoHttp(Exception):
    """The received data is not an HTTP response, even to a browser."""


@dataclass
class Answer:
    """The head of a response, and what was odd about it; `missing` says which part of the body did not arrive."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    oddities: list[str] = field(default_factory=list)
    missing: str | None = None
    came: int = 0  # bytes of the body received

    def values(self, name: str) -> list[str]:
        """Return the values of a header in lower case, with comma-separated lists split."""
        found = (value for key, value in self.headers if key.lower() == name)
        return [part.strip().lower() for value in found for part in value.split(",") if part.strip()]


async def ask(
    target: str,
    headers: Iterable[tuple[str, str]],
    addresses: Sequence[ResolveResult],
    tls: tuple[ssl.SSLContext, str] | None,
    decoder: Callable[[Answer], Decoder | None],
) -> Answer:
    """GET a target from the first reachable address; `decoder` returns what decodes the body, None to skip the body.

    Raises NoHttp, OSError, and whatever the decoder raises. `tls`: how to encrypt, and whose certificate to expect.
    """
    reader, writer = await _connect(addresses, tls)
    try:
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
        writer.write("".join(re.sub(r"[\0\r\n]", " ", line) + "\r\n" for line in lines).encode() + b"\r\n")
        await writer.drain()
        answer = await _head(reader)
        if answer.status not in (204, 304) and (sink := decoder(answer)) is not None:
            await _Body(reader, answer, sink).read()
        return answer
    finally:
        writer.transport.abort()


async def _connect(
    addresses: Sequence[ResolveResult], tls: tuple[ssl.SSLContext, str] | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    error: OSError | None = None
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address["host"],
                address["port"],
                limit=MAX_LINE,
                ssl=tls[0] if tls else None,
                server_hostname=tls[1] if tls else None,
            )
        except OSError as problem:
            error = problem
    raise error or OSError("the host has no address")


async def _line(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Return a line without its end, and whether that was a bare line feed; EOFError if the data ends first."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise NoHttp(f"a line is longer than {MAX_LINE:,} bytes") from error
    except asyncio.IncompleteReadError as error:
        raise EOFError(f"it ends with {error.partial[:40]!r}") from error
    return line.rstrip(b"\r\n"), not line.endswith(b"\r\n")


async def _head(reader: asyncio.StreamReader) -> Answer:
    """Return the head of the final response, after any interim (1xx) ones."""
    try:
        for _ in range(_MAX_INTERIM):
            answer = await _one_head(reader)
            if answer.status >= 200:
                return answer
    except EOFError as error:
        raise ConnectionResetError("the answer ends in its head") from error
    raise NoHttp(f"more than {_MAX_INTERIM} interim answers")


async def _one_head(reader: asyncio.StreamReader) -> Answer:
    line = b""
    for _ in range(4):  # skips blank lines (RFC 9112 § 2.2 allows them before requests)
        line, _bare = await _line(reader)
        if line.strip():
            break
    status = _STATUS.match(line)
    if status is None:
        raise NoHttp(f"no HTTP: it begins with {line[:60]!r}")
    headers: list[tuple[str, str]] = []
    odd: dict[str, None] = {}
    for _ in range(_MAX_LINES):
        line, _bare = await _line(reader)
        if not line:
            return Answer(int(status[1]), status[2].decode("latin-1"), tuple(headers), list(odd))
        if b"\0" in line:
            raise NoHttp("a header contains a zero byte")
        if line[:1] in b" \t" and headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip().decode('latin-1')}")
            continue
        key, colon, rest = line.partition(b":")
        if not colon or not key.strip():
            odd["a header line without a name"] = None
            continue
        if key.strip() != key:
            odd["a space before a header's colon"] = None
        headers.append((key.strip().decode("latin-1"), rest.strip().decode("latin-1")))
    raise NoHttp(f"more than {_MAX_LINES} header lines")


class _Body:
    """Reads a body up to the end that its head declares, and notes any deviation from that."""

    def __init__(self, reader: asyncio.StreamReader, answer: Answer, sink: Decoder) -> None:
        self._reader, self._answer, self._sink = reader, answer, sink

    async def read(self) -> None:
        """Read the body; `missing` of the answer says which part did not arrive."""
        lengths = self._answer.values("content-length")
        chunked = "chunked" in self._answer.values("transfer-encoding")
        if lengths and chunked:
            self._odd("Content-Length together with chunks")
        if chunked:
            await self._chunks()
            return
        numbers = {int(length) for length in lengths if re.fullmatch(r"[0-9]{1,18}", length)}
        if len(numbers) > 1:
            raise NoHttp(f"Content-Length has different values: {', '.join(lengths)[:60]}")
        if len(lengths) > 1:
            self._odd("Content-Length more than once")
        if len(numbers) < len(set(lengths)):
            self._odd(f"Content-Length is not a number: {lengths[0][:40]!r}")
        elif numbers:
            await self._counted(numbers.pop())
            return
        while not self._sink.full and await self._piece(_PIECE):
            pass

    async def _counted(self, length: int) -> None:
        while self._answer.came < length and not self._sink.full:
            if not await self._piece(min(_PIECE, length - self._answer.came)):
                self._answer.missing = f"{self._answer.came:,} bytes came where Content-Length says {length:,}"
                return
        if not self._answer.oddities and not self._sink.full:
            try:
                async with asyncio.timeout(_SURPLUS_SECONDS):
                    more = await self._reader.read(1)
            except TimeoutError:
                return
            if more:
                self._odd(f"more came than the {length:,} bytes that Content-Length says")

    async def _chunks(self) -> None:
        try:
            while (size := await self._chunk_size()) and not self._sink.full:
                end = self._answer.came + size
                while self._answer.came < end and not self._sink.full:
                    if not await self._piece(min(_PIECE, end - self._answer.came)):
                        raise EOFError
        except EOFError as error:
            if not self._answer.came:
                raise NoHttp(f"there is no complete chunk; {error}") from error
            self._answer.missing = "the last chunk did not come"

    async def _chunk_size(self) -> int:
        line = b""
        for _ in range(2 if self._answer.came else 1):  # the line end after the previous chunk, which some servers omit
            line, bare = await _line(self._reader)
            if bare:
                self._odd("a chunk's line ends in a bare line feed")
            if line:
                break
        size = _CHUNK.match(line)
        if size is None:
            raise NoHttp(f"a chunk's length is {line[:40]!r}")
        return int(size[1], 16)

    async def _piece(self, size: int) -> bool:
        piece = await self._reader.read(size)
        self._answer.came += len(piece)
        if piece:
            self._sink.feed(piece)
        return bool(piece)

    def _odd(self, what: str) -> None:
        if what not in self._answer.oddities:
            self._answer.oddities.append(what)
