"""Parser of HTTP responses in archives: reads as browsers do, even if the body no longer matches the header."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from tasks.corpus.crawl.decode import BrokenEncoding, Decoder
from tasks.corpus.crawl.mime import named_in
from tasks.corpus.crawl.streams import packing

MAX_HEADER = 65_536  # bytes
RIGHTS_HEADERS = frozenset({"x-robots-tag", "tdm-reservation", "content-signal", "content-usage"})  # about training
WHOLE = (200, 203)  # status of a response that is the page: OK, or OK from a transforming proxy
_STATUS = re.compile(rb"\s{0,64}HTTP(?:/\d{1,2}(?:\.\d{1,2})?)?[ \t]+(\d{3})(?!\d)[^\n]*(?:\n|\Z)", re.I)
_BLANK = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]{0,4096})?\r?\n")
_GZIP = re.compile(rb"\x1f\x8b\x08(?:\x00.{6}|\x08.{6}[^\0]*\0)", re.S)  # RFC 1952, optionally with a file name
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", re.I)


class Answer(NamedTuple):
    """Status, headers by their lower-case names, and where in the block the body begins."""

    status: int
    headers: Mapping[str, str]
    begin: int
    rights_headers: tuple[tuple[str, str], ...] = ()  # every occurrence of those in RIGHTS_HEADERS

    @property
    def mime(self) -> str:
        """The MIME type; a response without one is assumed to be HTML."""
        return mime_of(self.headers.get("content-type"))

    @property
    def charset(self) -> str | None:
        """The charset that the header names."""
        return charset_in(self.headers.get("content-type"))

    @property
    def length(self) -> int | None:
        """The body length that the header declares."""
        value = self.headers.get("content-length", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None


@lru_cache(maxsize=256)  # the pages of an archive name few types
def mime_of(content_type: str | None) -> str:
    """Return the MIME type in a Content-Type, the last if there are several; without one, HTML is assumed."""
    if named := named_in([content_type or ""]):
        return named[-1]
    return (content_type or "text/html").partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def charset_in(content_type: str | None) -> str | None:
    """Return the charset that a Content-Type names."""
    found = _CHARSET.search(content_type or "")
    return found[1] if found else None


def parse_answer(block: bytes) -> Answer | None:
    """Return the final response in a block, after any interim ones (1xx); None if there is none.

    Lines end in \\r\\n or \\n and may be folded; a header without an end extends to the end of the block.
    """
    at = 0
    for _ in range(16):
        line = _STATUS.match(block, at)
        if line is None:
            return None
        start = line.end()
        if block.startswith((b"\r\n", b"\n"), start):  # no header at all
            end = begin = block.index(b"\n", start) + 1
        elif (blank := _BLANK.search(block, start - 1, start + MAX_HEADER)) is not None:
            end, begin = blank.start(), blank.end()
        elif len(block) <= start + MAX_HEADER:
            end = begin = len(block)
        else:
            return None
        status = int(line[1])
        if not 100 <= status < 200 or status == 101:
            headers, rights_headers = _headers(block[start:end])
            return Answer(status, headers, begin, rights_headers)
        at = begin
    return None


def body_of(block: bytes, answer: Answer, limit: int) -> bytes:
    """Return the body with chunking and compression undone, if the body really has what the header declares.

    Archives often contain bodies that are already decompressed but still have the old header. Raises TooLarge, and
    BrokenEncoding for a compressed body that cannot be decompressed.
    """
    body, headers = block[answer.begin :], answer.headers
    if "transfer-encoding" not in headers and "content-encoding" not in headers:  # as most
        return body[: limit + 1]
    transfer = [name.strip().lower() for name in headers.get("transfer-encoding", "").split(",")]
    if "chunked" in transfer:
        body = _unchunked(body)
    packings = [name for name in transfer if name not in ("", "chunked", "identity")]
    if not (encoding := ", ".join([*filter(None, [headers.get("content-encoding")]), *packings])):
        return body[: limit + 1]
    try:
        decoder = Decoder(encoding, limit)
        decoder.feed(body)
        return decoder.finish()
    except BrokenEncoding:
        if packing(body) is None:
            return body[: limit + 1]
        if (whole := _without_trailer(body, limit)) is None:
            raise
        return whole


def _without_trailer(body: bytes, limit: int) -> bytes | None:
    """Return the content of a gzip body that is complete except for the trailing checksum; None for any other."""
    head = _GZIP.match(body)
    if head is None:
        return None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(body[head.end() :], limit + 1)
    except zlib.error:
        return None
    return content if inflater.eof and len(inflater.unused_data) < 8 else None


def _headers(lines: bytes) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    found: dict[str, str] = {}
    rights_headers = []
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)
    for line in lines.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            key, text = _key(name), value.strip().decode("latin-1")
            found.setdefault(key, text)
            if key in RIGHTS_HEADERS:
                rights_headers.append((key, text))
    return found, tuple(rights_headers)


@lru_cache(maxsize=256)
def _key(name: bytes) -> str:
    return name.strip().lower().decode("latin-1")


def _unchunked(body: bytes) -> bytes:
    """Return the body without chunk sizes. A body without them is unchanged, as is everything after an invalid one."""
    parts: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(body, at)) is not None:
        length = int(size[1], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length
        at += 2 if body.startswith(b"\r\n", at) else body.startswith(b"\n", at)
    return b"".join([*parts, body[at:]])
