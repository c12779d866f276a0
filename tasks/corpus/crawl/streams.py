"""The bytes of a compressed file as one stream; at damage it ends and reports the problem instead of raising."""

from __future__ import annotations

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bz2": b"BZh", "xz": b"\xfd7zXZ\x00"}
SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz")
_MEMBER = {"gzip": b"\x1f\x8b\x08", "zstd": MAGIC["zstd"]}  # the bytes with which an independent part of a file begins
_PIECE = 1 << 16  # bytes of input at a time
_XZ_MEMORY = 256 << 20  # bytes; an .xz file declares the size of its dictionary, up to 4 GB


def packing(head: bytes) -> str | None:
    """Return how a file that begins with these bytes is compressed ("gzip", "zstd", "bz2", "xz"), or None."""
    return next((name for name, magic in MAGIC.items() if head.startswith(magic)), None)


def open_unpacked(path: Path, limit: int) -> UnpackedFile:
    """Open a file to read at most `limit` of its unpacked bytes. The format is recognised by the first bytes."""
    return UnpackedFile(path, limit)


class UnpackedFile(io.BufferedReader):
    """A buffered reader over unpacked bytes. `problem` is None, or (reason, sentence) if the data ended too early.

    If a file is truncated, every byte before the cut is delivered. After a damaged member of a gzip or zstd file,
    reading continues at the next one, as such files (archives, concatenated logs) consist of independent members.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self._source = _Pieces(path, limit)
        super().__init__(self._source, 1 << 20)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Why the stream ended before the file did."""
        return self._source.problem


class _Pieces(io.RawIOBase):
    """Pieces of a file's unpacked bytes as a raw stream."""

    def __init__(self, path: Path, limit: int) -> None:
        self.problem: tuple[str, str] | None = None
        self._path, self._limit, self._left = path, limit, limit
        self._file = open(path, "rb")  # noqa: SIM115 (closed with this stream)
        packed = packing(self._file.read(6))
        self._file.seek(0)
        self._pieces = self._plain() if packed is None else self._fast(packed)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        if count > self._left:
            self.problem = (
                "file_too_large",
                f"more than {self._limit:,} bytes when decompressed; the rest is not read (crawl.max_file_megabytes)",
            )
            self._pieces, count = iter(()), self._left
        self._left -= count
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _damaged(self, error: object) -> None:
        if self.problem is None:
            self.problem = ("broken_file", str(error)[:200])

    def _plain(self) -> Iterator[bytes]:
        try:
            while data := self._file.read(1 << 20):
                yield data
        except OSError as error:
            self._damaged(error)

    def _fast(self, packed: str) -> Iterator[bytes | memoryview]:
        """Arrow's decompressors: a third faster than Python's zlib object, but they lose the last, incomplete piece."""
        import pyarrow as pa

        done = 0
        if packed != "xz":
            try:
                with pa.OSFile(str(self._path)) as file, pa.CompressedInputStream(file, packed) as stream:
                    # `read` would leak its 256 KB whenever it raises
                    while data := memoryview(stream.read_buffer(1 << 18)).cast("B"):
                        yield data
                        done += len(data)
                return
            except (OSError, pa.ArrowException, UnicodeEncodeError):  # the last: Arrow cannot open non-UTF-8 names
                pass
        yield from self._careful(packed, done)

    def _careful(self, packed: str, skip: int) -> Iterator[bytes]:
        """Python's own decompressors, which return every byte; the first `skip` bytes have been delivered already."""
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        makers: dict[str, Callable[[], Any]] = {
            "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
            "zstd": zstd.ZstdDecompressor,
            "bz2": bz2.BZ2Decompressor,
            "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
        }
        data = b""
        while True:
            member, given = makers[packed](), b""
            data = data or self._file.read(_PIECE)
            data = data if packed == "bz2" else data.lstrip(b"\0")  # zeros pad archives on tapes and in blocks
            if not data:
                return
            try:
                while not member.eof:
                    given = data or given
                    out = member.decompress(data, _PIECE)
                    # zlib returns the input it did not consume; the others keep it and need no more
                    data = member.unconsumed_tail if packed == "gzip" else b""
                    if not data and not member.eof and getattr(member, "needs_input", True) and not out:
                        data = self._file.read(_PIECE)
                        if not data:
                            self._damaged("it ends in the middle")
                            return
                    cut = min(skip, len(out))
                    skip -= cut
                    if len(out) > cut:
                        yield out[cut:]
                data = member.unused_data
            except (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError) as error:
                self._damaged(error)
                found = self._next_member(data or given, _MEMBER[packed]) if packed in _MEMBER else None
                if found is None:
                    return
                data = found

    def _next_member(self, data: bytes, magic: bytes) -> bytes | None:
        """Return the bytes from the next member on, searching after the first byte of `data`."""
        data = data[1:]
        while True:
            at = data.find(magic)
            if at >= 0:
                return data[at:]
            more = self._file.read(_PIECE)
            if not more:
                return None
            data = data[1 - len(magic) :] + more
