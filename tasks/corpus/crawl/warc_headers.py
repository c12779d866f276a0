"""WARC records whose headers fastwarc does not understand: names in any letter case, folds, lines without \\r."""

from __future__ import annotations

import re
import sys
import zlib
from typing import IO, Any, NamedTuple

from tasks.corpus.crawl.http_answer import MAX_HEADER
from tasks.corpus.crawl.streams import packing

_VERSION = re.compile(rb"[\r\n]*WARC/\d{1,2}\.\d{1,3}[ \t]*\r?\n", re.I)
_NEXT = re.compile(rb"\n\r?\nWARC/1\.\d\r?\n(?:WARC-[A-Z]|Content-[LT])")
_BLANK = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_NAMES = {
    name.lower().encode(): name.encode()
    for name in (
        "WARC-Type",
        "WARC-Record-ID",
        "WARC-Date",
        "WARC-Target-URI",
        "WARC-Block-Digest",
        "WARC-Segment-Number",
        "Content-Type",
    )
}
_PIECE = 1 << 16


class Reread(NamedTuple):
    """A record that was read again: as a fastwarc record, its declared bytes, its block, and its place in the file."""

    record: Any
    begin: int
    declared: int
    block: bytes
    end: int


def reread(file: IO[bytes], place: int, block_limit: int) -> Reread | None:
    """Return the record that begins at this place in a file, with at most `block_limit` bytes of its block.

    None if there is none, or if it shares its compressed member with others, so that its position is unknown.
    """
    file.seek(place)
    packed = packing(file.read(6))
    file.seek(place)
    if packed is None:
        start = file.read(MAX_HEADER + 64)
        if (found := _header(start)) is None:
            return None
        fields, begin, length = found
        file.seek(place + begin)
        return Reread(_record(fields), place, length, file.read(min(length, block_limit)), place + begin + length)
    if packed not in ("gzip", "zstd"):
        return None
    member = _member(file, packed, MAX_HEADER + 64 + block_limit)
    if member is None or (found := _header(member[0])) is None:
        return None
    data, size, end = member
    fields, begin, length = found
    if size > begin + length + 16 or data[begin + length :].strip(b"\r\n"):
        return None
    return Reread(_record(fields), place, length, data[begin : begin + min(length, block_limit)], end)


def shares_member(file: IO[bytes]) -> bool:
    """Whether the second record of a gzip file is in the same member as the first, as if the whole file was gzipped."""
    member, data = zlib.decompressobj(31), b""
    try:
        while not member.eof and len(data) < 1 << 20 and (piece := member.unconsumed_tail or file.read(_PIECE)):
            data += member.decompress(piece, 1 << 20)
    except zlib.error:
        return False
    if (found := _header(data)) is not None:
        end = found[1] + found[2]
        if _VERSION.match(data, end) is not None:
            return True
        if (end > len(data) and not member.eof) or (end <= len(data) and not data[end:].strip()):
            return False  # the first record is long, or the only one
    return _NEXT.search(data, 1) is not None  # the first record is broken, or declares a wrong length


def _header(data: bytes) -> tuple[list[tuple[bytes, bytes]], int, int] | None:
    """Fields, where the block begins, and its length; None if this is not a header with a length."""
    version = _VERSION.match(data)
    blank = _BLANK.search(data, version.end() - 1, MAX_HEADER) if version else None
    if version is None or blank is None:
        return None
    fields: dict[bytes, bytes] = {}
    for line in _FOLD.sub(b" ", data[version.end() : blank.start()]).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    length = fields.pop(b"content-length", b"")
    if not length.isdigit() or len(length) > 15:
        return None
    return [(_NAMES.get(name, name), value) for name, value in fields.items()], blank.end(), int(length)


def _record(fields: list[tuple[bytes, bytes]]) -> Any:
    """An empty fastwarc record with these fields."""
    from fastwarc.warc import WarcRecord

    lines = b"".join(b"%b: %b\r\n" % (name, value) for name, value in fields)
    return WarcRecord.from_bytes(b"WARC/1.0\r\n" + lines + b"Content-Length: 0\r\n\r\n\r\n\r\n")


def _member(file: IO[bytes], packed: str, limit: int) -> tuple[bytes, int, int] | None:
    """The first `limit` unpacked bytes of a member, how many it has, and where it ends; None if it is damaged or
    far longer."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    member: Any = zlib.decompressobj(31) if packed == "gzip" else zstd.ZstdDecompressor()
    parts: list[bytes] = []
    size, data = 0, b""
    try:
        while not member.eof:
            data = data or file.read(_PIECE)
            if not data:
                return None
            out = member.decompress(data, 1 << 20)
            data = member.unconsumed_tail if packed == "gzip" else b""
            while packed == "zstd" and not member.eof and not member.needs_input:
                out += member.decompress(b"", 1 << 20)
            if size < limit:
                parts.append(out)
            size += len(out)
            if size > 2 * limit:
                return None
    except (zlib.error, zstd.ZstdError, EOFError):
        return None
    return b"".join(parts), size, file.tell() - len(member.unused_data) - len(data)
