"""Streams of UTF-16 and UTF-32, which a mark at the beginning tells, as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import IO, Any

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
