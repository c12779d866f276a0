"""Content-Encoding decoded with a limit: a compression bomb is stopped when it exceeds the size of a page."""

from __future__ import annotations

import codecs
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

ACCEPTED = "gzip, deflate, br, zstd"
MAX_ENCODINGS = 3  # of one body, one around the other
_WINDOW = 8 << 20  # bytes; RFC 9659 § 3: what a zstd decoder on the web must, and ours will at most, hold
_SLACK = 65_536  # bytes by which a packed body may be larger than what is in it
_HEAD = 512  # bytes of a body that tell text from what is packed
_SURE = 32  # bytes from which that is beyond doubt
_STEP = 1024  # bytes of a member to begin with: what it leaves of them is copied
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\f\r\x1b"})
_MARKUP = re.compile(rb"\s*<[!?a-z]", re.I)
# names that servers send though nothing is packed: of transfers, of charsets, of no encoding at all
_NONE = frozenset({"none", "null", "plain", "text", "raw", "7bit", "8bit", "binary", "utf8", "unicode"})


class TooLarge(Exception):
    """A body outgrew its limit."""


class BrokenEncoding(Exception):
    """A body is not what its Content-Encoding says, or breaks off."""


class Decoder:
    """Takes a body in as it comes and gives back what it stands for, at most `limit` bytes of it.

    `truncate` returns the first `limit` bytes of a longer body instead of raising TooLarge (robots.txt: RFC 9309
    § 2.5 wants the beginning to be obeyed). `larger` is asked once, with the beginning of a body that outgrows its
    limit, for another one, at which it is cut off. `strict`: an encoding has to be one that was asked for, and the
    body has to be in it; else a name that means nothing is passed over, text is taken for text whatever it is said to
    be packed with, and `oddities` says so.
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
        self.full = False  # truncated: what follows need not be read
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
        """Whether the body was packed, so that `finish` would have known if its end had not come."""
        return any(stage.packed for stage in self._stages)

    def feed(self, chunk: bytes) -> None:
        """Take in bytes as they came; raises TooLarge and BrokenEncoding."""
        self._fed += len(chunk)
        if self._stages and self._fed > self._limit + _SLACK and not self._grown():
            raise TooLarge  # of empty members, say, without end
        self._run(chunk, 0)

    def finish(self) -> bytes:
        """Return the whole body; raises BrokenEncoding where it broke off."""
        for number, stage in enumerate(self._stages):
            if self.full:
                break
            for part in stage.finish(self._limit + 1):
                self._run(part, number + 1)
        return b"".join(self._parts)

    def _run(self, data: bytes, number: int) -> None:
        """Send bytes through the stages from `number` on."""
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
        """Ask once whether this body may be larger than others."""
        if self._larger is not None:
            granted, self._larger = self._larger(b"".join(self._parts)[:_SLACK]), None
            if granted > self._limit:
                self._limit, self._truncate = granted, True
                if self.size >= granted:
                    self._cut()
        return max(self.size, self._fed - _SLACK) <= self._limit


class _Stage:
    """One encoding of a body, or none where the body turns out to be text as it is."""

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
        """Yield what is left; raises BrokenEncoding where the body broke off."""
        head, self._head = self._head, None
        if head:  # too short to be sure before it has been tried
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
                if self._made > self._limit() + _SLACK:  # of a layer in between; the last is counted as it is kept
                    raise TooLarge
                yield part
        except (TooLarge, BrokenEncoding):
            raise
        except Exception as error:  # each codec has an exception of its own
            raise BrokenEncoding(str(error) or type(error).__name__) from error

    def _end(self) -> None:
        if self._codec is not None and not self._codec.complete:
            raise BrokenEncoding("it ends in the middle")


def unpacked(body: bytes, limit: int) -> bytes:
    """Return at most `limit` bytes of a gzip file's content, all its members, as far as it is whole; else the body."""
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
    """Return whether a body begins as text does and nothing that is packed: markup, or UTF-8, without controls."""
    head = head[:_HEAD]
    if has_controls(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _MARKUP.match(head) is not None
    return True


def has_controls(data: bytes) -> bool:
    """Return whether there are bytes that no text in an encoding of the web has (WHATWG MIME Sniffing § 3)."""
    return data.translate(None, _CONTROLS) != data


def _is_none(name: str) -> bool:
    """Return whether a name in Content-Encoding means that nothing is packed."""
    if name in _NONE:
        return True
    try:
        return name not in _CODECS and codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


class _Zlib:
    """gzip and deflate; also "deflate" without the zlib header that RFC 9110 asks for, as some servers send it.

    The members of a gzip file are one body (RFC 1952 § 2.2); what follows the last is padding, and dropped.
    """

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj()
        self._head = b""  # the first byte of a member: it takes two to tell what it is
        self._members = self._made = 0  # members begun; bytes that this one made
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
                    self._over = True  # it only began as a member does
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
    """zstd (RFC 8878), with the window that RFC 9659 allows on the web, so a frame cannot ask for gigabytes.

    Its frames are one body (RFC 8878 § 3); what follows the last is dropped.
    """

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW.bit_length() - 1}
        self._new: Callable[[], Any] = lambda: zstd.ZstdDecompressor(options=options)
        self._decompressor = self._new()
        self._head = b""  # of a frame: it takes four bytes to tell what it is
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
