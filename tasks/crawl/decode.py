"""Content-Encoding undone with a limit: a compression bomb is stopped where it outgrows what a page may have."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

ACCEPTED = "gzip, deflate, br, zstd"
_WINDOW = 8 << 20  # bytes; RFC 9659 § 3: what a zstd decoder on the web must, and ours will at most, hold


class TooLarge(Exception):
    """A body outgrew its limit."""


class BrokenEncoding(Exception):
    """A body is not what its Content-Encoding says, or breaks off."""


class Decoder:
    """Takes a body in as it comes and gives back what it stands for, at most `limit` bytes of it.

    `truncate` returns the first `limit` bytes of a longer body instead of raising TooLarge (robots.txt: RFC 9309
    § 2.5 wants the beginning to be obeyed).
    """

    def __init__(self, encoding: str, limit: int, *, truncate: bool = False) -> None:
        self._limit, self._truncate = limit, truncate
        self._parts: list[bytes] = []
        self._size = 0
        names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
        if len(names) > 1 or (names and names[0] not in _CODECS):
            raise BrokenEncoding(f"Content-Encoding {encoding!r} was not asked for")
        self._codec = _CODECS[names[0]]() if names else None
        self.full = False  # truncated: what follows need not be read

    def feed(self, chunk: bytes) -> None:
        """Take in bytes as they came; raises TooLarge and BrokenEncoding."""
        if self._codec is None:
            self._add(chunk)
            return
        try:
            for part in self._codec.decode(chunk, self._limit + 1):
                self._add(part)
                if self.full:
                    return
        except (TooLarge, BrokenEncoding):
            raise
        except Exception as error:  # each codec has an exception of its own
            raise BrokenEncoding(str(error) or type(error).__name__) from error

    def finish(self) -> bytes:
        """Return the whole body; raises BrokenEncoding where it broke off."""
        if self._codec is not None and not (self.full or self._codec.complete):
            raise BrokenEncoding("it ends in the middle")
        return b"".join(self._parts)

    def _add(self, data: bytes) -> None:
        if self._truncate and self._size + len(data) >= self._limit:
            data, self.full = data[: self._limit - self._size], True
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge
        self._parts.append(data)


class _Zlib:
    """gzip and deflate; also "deflate" without the zlib header that RFC 9110 asks for, as some servers send it."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
        self._head = b""  # the first two bytes, which tell whether there is a header
        self._begun = False

    @property
    def complete(self) -> bool:
        return self._inflater.eof or not (self._begun or self._head)

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        if not self._begun:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            self._begun = True
            gzip, zlib_ = data[:2] == b"\x1f\x8b", data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0  # RFC 1950
            if not (gzip or zlib_):
                self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while data and not self._inflater.eof:  # what follows the end is padding or a second member: browsers drop it
            part = self._inflater.decompress(data, limit)
            data = self._inflater.unconsumed_tail
            yield part


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
    """zstd (RFC 8878), with the window that RFC 9659 allows on the web, so a frame cannot ask for gigabytes."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW.bit_length() - 1}
        self._decompressor = zstd.ZstdDecompressor(options=options)
        self._begun = False

    @property
    def complete(self) -> bool:
        return self._decompressor.eof or not self._begun

    def decode(self, data: bytes, limit: int) -> Iterator[bytes]:
        self._begun = True
        while not self._decompressor.eof:
            yield self._decompressor.decompress(data, max_length=limit)
            if self._decompressor.needs_input:
                return
            data = b""


_CODECS: dict[str, type[_Zlib] | type[_Brotli] | type[_Zstd]] = {
    "gzip": _Zlib,
    "x-gzip": _Zlib,
    "deflate": _Zlib,
    "br": _Brotli,
    "zstd": _Zstd,
}
