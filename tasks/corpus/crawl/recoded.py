"""Files of rows in any encoding, converted to UTF-8, from which rows are read."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from typing import IO, Any

from tasks.corpus.charsets.detect import detect, is_utf8_with_faults, marked
from tasks.corpus.charsets.web import decoder

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 18
# A file longer than the sample is taken to be in one encoding if this many bytes of the sample indicate it; a single
# such byte may come from one row that was written in a different encoding from all others.
_ENOUGH = 50
_STEP = 1 << 16


def as_utf8(stream: IO[bytes]) -> IO[bytes]:
    """Return the stream, recoded to UTF-8 if it begins with another encoding's mark or is not UTF-8."""
    name = encoding_of(stream)
    return stream if name is None else _recoded(stream, decoder(name))


def encoding_of(stream: IO[bytes]) -> str | None:
    """Return the encoding of a stream by its beginning, which is not consumed; None if it is UTF-8, or unknown."""
    sample = stream.peek(_SAMPLE)[:_SAMPLE]  # type: ignore[attr-defined]
    if (codec := next((name for mark, name in _MARKS if sample.startswith(mark)), None)) is not None:
        return codec
    name = marked(sample)
    if name is None and not sample.isascii() and not is_utf8_with_faults(sample):
        beyond = len(sample.translate(None, bytes(range(128))))
        name = detect(sample) if len(sample) < _SAMPLE or beyond >= _ENOUGH else None
    return name


def _recoded(stream: IO[bytes], decode: Callable[[bytes], str]) -> IO[bytes]:
    return io.BufferedReader(_Recoded(stream, decode), 1 << 20)


class _Recoded(io.RawIOBase):
    """A stream in another encoding, read as UTF-8."""

    def __init__(self, stream: IO[bytes], decode: Callable[[bytes], str]) -> None:
        self._stream, self._decode = stream, decode
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read(_STEP)
            self._rest = self._decode(data).encode("utf-8", "replace")
            if not data and not self._rest:
                return 0
        out, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(out)] = out
        return len(out)
