"""Content-Encoding decoder with a size limit: a compression bomb is stopped when it exceeds the limit of a page."""

from __future__ import annotations

import codecs
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

ACCEPTED = "gzip, deflate, br, zstd"
MAX_ENCODINGS = 3  # nested encodings of one body
_WINDOW = 8 << 20  # bytes; RFC 9659 § 3: the window that a zstd decoder on the web must support; ours supports no more
_SLACK = 65_536  # bytes by which a compressed body may be larger than its content
_HEAD = 512  # bytes of a body that are checked to tell text from compressed data
_SURE = 32  # with this many bytes, the check is reliable
_STEP = 1024  # bytes of a member to decode first; those left over at its end are copied
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\f\r\x1b"})
_MARKUP = re.compile(rb"\s*<[!?a-z]", re.I)
# names that servers send although nothing is compressed: transfer encodings, charsets, words for no encoding
_NONE = frozenset({"none", "null", "plain", "text", "raw", "7bit", "8bit", "binary", "utf8", "unicode"})


class TooLarge(Exception):
    """A body exceeded its limit."""


class BrokenEncoding(Exception):
    """A body is not encoded as its Content-Encoding says, or is cut off."""


class Decoder:
    """Takes in a body piece by piece and returns its decoded content, at most `limit` bytes.

    `truncate`: return the first `limit` bytes of a longer body instead of raising TooLarge (for robots.txt: RFC 9309
    § 2.5 wants the beginning to be obeyed). `larger` is called once, with the beginning of a body that exceeds its
    limit; it returns another limit, at which the body is cut off. `strict`: the encoding must be one that was requested
    and the body must really be encoded with it. If not strict, names that mean no compression are ignored, text is
    taken as it is even if it is said to be compressed, and `oddities` says so.
    """

    def __init__(
        self,
        encoding: str,
        limit: int,
        *,
        truncate: bool = False,
        strict: bool = False,
        larger: Callable[[bytes], int] | None = None,
    ) -> None:
        self._limit, self._truncate, self._larger = limit, truncate, larger
        self._parts: list[bytes] = []
        self.size = self._fed = 0
        self.full = False  # truncated: the rest need not be read
        names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
        if strict and (len(names) > 1 or (names and names[0] not in _CODECS)):
            raise BrokenEncoding(f"Content-Encoding {encoding!r} was not asked for")
        names = [name.partition(";")[0].strip().strip("\"'") for name in names]
        self.oddities = [f"Content-Encoding {name!r} names no packing" for name in names if _is_none(name)]
        names = [name for name in names if name not in ("", "identity") and not _is_none(name)]
        if len(names) > MAX_ENCODINGS:
            raise BrokenEncoding(f"Content-Encoding {encoding!r} compresses {len(names)} times")
        self._stages = [_Stage(name, strict, self.oddities, lambda: self._limit) for name in reversed(names)]

    @property
    def packed(self) -> bool:
        """Whether the body was compressed, so that `finish` would have noticed a missing end."""
        return any(stage.packed for stage in self._stages)

    def feed(self, chunk: bytes) -> None:
        """Take in received bytes; raises TooLarge and BrokenEncoding."""
        self._fed += len(chunk)
        if self._stages and self._fed > self._limit + _SLACK and not self._grown():
            raise TooLarge  # such as an endless series of empty members
        self._run(chunk, 0)

    def finish(self) -> bytes:
        """Return the whole body; raises BrokenEncoding if it was cut off."""
        for number, stage in enumerate(self._stages):
            if self.full:
                break
            for part in stage.finish(self._limit + 1):
                self._run(part, number + 1)
        return b"".join(self._parts)

    def _run(self, data: bytes, number: int) -> None:
        """Pass bytes through the stages from `number` on."""
        if number == len(self._stages):
            self._add(data)
            return
        for part in self._stages[number].decode(data, self._limit + 1):
            self._run(part, number + 1)
            if self.full:
                return

    def _add(self, data: bytes) -> None:
        self.size += len(data)
        self._parts.append(data)
        if self._truncate and self.size >= self._limit:
            self._cut()
        elif self.size > self._limit and not self._grown():
            raise TooLarge

    def _cut(self) -> None:
        over = self.size - self._limit
        self._parts[-1] = self._parts[-1][: len(self._parts[-1]) - over]
        self.size, self.full = self._limit, True

    def _grown(self) -> bool:
        """Ask once whether this body may be larger; return whether it is within the limit that now applies."""
        if self._larger is not None:
            granted, self._larger = self._larger(b"".join(self._parts)[:_SLACK]), None
            if granted > self._limit:
                self._limit, self._truncate = granted, True
                if self.size >= granted:
                    self._cut()
        return max(self.size, self._fed - _SLACK) <= self._limit


class _Stage:
    """One encoding of a body; it passes the body through unchanged if that turns out to be plain text."""

    def __init__(self, name: str, strict: bool, oddities: list[str], limit: Callable[[], int]) -> None:
        self._name, self._oddities, self._limit = name, oddities, limit
        self._codec = _CODECS[name]() if name in _CODECS else None
        self._head: bytes | None = None if strict else b""  # not yet decided
        self._as_it_is = False
        self._made = 0

    @property
    def packed(self) -> bool:
        """Whether bytes went through the codec."""
        return self._codec is not None and self._made > 0

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        if self._head is not None:
            self._head += data
            if len(self._head) < _SURE:
                return
            data, self._head = self._head, None
            self._as_it_is = self._is_text(data)
        yield from self._decode(data, limit)

    def finish(self, limit: int) -> Iterator[bytes]:
        """Yield the remaining content; raises BrokenEncoding if the body was cut off."""
        head, self._head = self._head, None
        if head:  # too short for a reliable check, so decoding is tried first
            try:
                if self._codec is None:
                    raise BrokenEncoding
                parts = list(self._decode(head, limit))
                self._end()
            except BrokenEncoding:
                if not self._is_text(head):
                    raise
                parts = [head]
            yield from parts
        elif not self._as_it_is:
            self._end()

    def _is_text(self, data: bytes) -> bool:
        if is_text(data):
            self._oddities.append(f"the body is not compressed with {self._name!r}, though Content-Encoding says so")
            return True
        if self._codec is None:
            raise BrokenEncoding(f"Content-Encoding {self._name!r} was not asked for, and the body is not text")
        return False

    def _decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        if self._as_it_is or self._codec is None:
            yield data
            return
        try:
            for part in self._codec.decode(data, limit):
                self._made += len(part)
                if self._made > self._limit() + _SLACK:  # for inner stages; the last one's output is counted in `_add`
                    raise TooLarge
                yield part
        except (TooLarge, BrokenEncoding):
            raise
        except Exception as error:  # each codec raises its own exception type
            raise BrokenEncoding(str(error) or type(error).__name__) from error

    def _end(self) -> None:
        if self._codec is not None and not self._codec.complete:
            raise BrokenEncoding("it ends in the middle")


def unpacked(body: bytes, limit: int) -> bytes:
    """Return up to `limit` bytes of the intact content of a gzip file, of all members; any other body as it is."""
    if body[:2] != b"\x1f\x8b":
        return body[:limit]
    parts, size = [], 0
    try:
        for part in _Zlib().decode(body, limit):
            parts.append(part)
            size += len(part)
            if size >= limit:
                break
    except zlib.error:
        pass
    return b"".join(parts)[:limit]


def is_text(head: bytes) -> bool:
    """Return whether a body begins like text and not like compressed data: markup or UTF-8, no control characters."""
    head = head[:_HEAD]
    if has_controls(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _MARKUP.match(head) is not None
    return True


def has_controls(data: bytes) -> bool:
    """Return whether there are bytes that do not occur in text in any web encoding (WHATWG MIME Sniffing § 3)."""
    return data.translate(None, _CONTROLS) != data


def _is_none(name: str) -> bool:
    """Return whether a name in Content-Encoding means that nothing is compressed."""
    if name in _NONE:
        return True
    try:
        return name not in _CODECS and codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


class _Zlib:
    """gzip and deflate; also "deflate" without the zlib header that RFC 9110 requires, as some servers send it.

    All members of a gzip file together are one body (RFC 1952 § 2.2); anything after the last is padding and dropped.
    """

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj()
        self._head = b""  # the first byte of a member: two bytes are needed to recognise it
        self._members = self._made = 0  # members started; bytes decoded from the current one
        self._gzip = self._over = False

    @property
    def complete(self) -> bool:
        if self._members == 0:
            return not self._head
        return self._over or self._inflater.eof or (self._members > 1 and self._made == 0)

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        view, position, step = memoryview(self._head + data), 0, _STEP
        self._head = b""
        while position < len(view) and not self._over:
            if self._members == 0 or self._inflater.eof:
                if len(view) - position < 2:
                    self._head = bytes(view[position:])
                    return
                self._begin(bytes(view[position : position + 2]))
                step = _STEP
                continue
            piece: bytes | memoryview = view[position : position + step]
            position, step = position + len(piece), min(2 * step, 1 << 20)
            while piece and not self._inflater.eof:
                try:
                    part = self._inflater.decompress(piece, limit)
                except zlib.error:
                    if self._members == 1 or self._made:
                        raise
                    self._over = True  # it only looked like the start of a member
                    return
                self._made += len(part)
                piece = self._inflater.unconsumed_tail
                yield part
            position -= len(self._inflater.unused_data)

    def _begin(self, head: bytes) -> None:
        gzip, zlib_ = head == b"\x1f\x8b", head[0] & 15 == 8 and int.from_bytes(head) % 31 == 0  # RFC 1950
        if self._members == 0:
            self._gzip = gzip
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32 if gzip or zlib_ else -zlib.MAX_WBITS)
        elif self._gzip and gzip:
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        else:
            self._over = True
        self._members, self._made = self._members + 1, 0


class _Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        import brotli

        self._decompressor: Any = brotli.Decompressor()
        self._begun = False

    @property
    def complete(self) -> bool:
        return self._decompressor.is_finished() or not self._begun

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        self._begun = True
        yield self._decompressor.process(data, output_buffer_limit=limit)
        while not self._decompressor.can_accept_more_data() and not self._decompressor.is_finished():
            yield self._decompressor.process(b"", output_buffer_limit=limit)


class _Zstd:
    """zstd (RFC 8878), limited to the window that RFC 9659 allows on the web, so a frame cannot demand gigabytes.

    All frames together are one body (RFC 8878 § 3); anything after the last is dropped.
    """

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW.bit_length() - 1}
        self._new: Callable[[], Any] = lambda: zstd.ZstdDecompressor(options=options)
        self._decompressor = self._new()
        self._head = b""  # first bytes of a frame: four are needed to recognise it
        self._begun = self._over = False

    @property
    def complete(self) -> bool:
        return self._decompressor.eof or self._over or not self._begun

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        view, position, step = memoryview(self._head + data), 0, _STEP
        self._head, self._begun = b"", True
        while position < len(view) and not self._over:
            if self._decompressor.eof:
                magic = bytes(view[position : position + 4])
                if len(magic) < 4:
                    self._head = magic
                    return
                if magic != b"\x28\xb5\x2f\xfd" and not (magic[0] & 0xF0 == 0x50 and magic[1:] == b"\x2a\x4d\x18"):
                    self._over = True
                    return
                self._decompressor, step = self._new(), _STEP
            piece: bytes | memoryview = view[position : position + step]
            position, step = position + len(piece), min(2 * step, 1 << 20)
            while not self._decompressor.eof:
                yield self._decompressor.decompress(piece, max_length=limit)
                if self._decompressor.needs_input:
                    break
                piece = b""
            position -= len(self._decompressor.unused_data)


_CODECS: dict[str, type[_Zlib] | type[_Brotli] | type[_Zstd]] = {
    "gzip": _Zlib,
    "x-gzip": _Zlib,
    "deflate": _Zlib,
    "br": _Brotli,
    "zstd": _Zstd,
}
