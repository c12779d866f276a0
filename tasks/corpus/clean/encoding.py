"""From the bytes of a page to text: byte order mark, declared encoding, detected encoding, in this order."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from tasks.corpus.charsets.declared import declared_in
from tasks.corpus.charsets.detect import detect, is_utf8_with_faults, marked
from tasks.corpus.charsets.labels import names_in
from tasks.corpus.charsets.web import decode as decode_as
from tasks.corpus.charsets.web import decode_strictly

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)
UNKNOWN = "unknown"
_FAULTS = 0.02  # largest share of faults among non-ASCII characters for a declared encoding to be believed


class Decoded(NamedTuple):
    """A text, and the encoding it was read in, or UNKNOWN."""

    text: str
    encoding: str


def decode(body: bytes, declared: str | None = None, *, html: bool = True) -> Decoded:
    """Return the text of a page. Never fails: bytes that are invalid in its encoding become U+FFFD.

    The order is that of browsers (WHATWG HTML § 13.2.3.2): byte order mark, HTTP header, meta element, detection
    (chardet). A declared encoding is ignored if the bytes contradict it; then valid UTF-8 is read as UTF-8, and the
    encoding of anything else is detected. If the detector is not sure either, the encoding is UNKNOWN, and everything
    that is not ASCII becomes U+FFFD.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return Decoded(decode_as(body[len(mark) :], name), name)
    if (name_shown := marked(body)) is not None:
        return Decoded(decode_as(body, name_shown), name_shown)
    believed = []
    for name in _declared(body, declared, html):
        if name != "utf-8" and name.startswith("utf-") and _is_utf8(body):  # almost any bytes are valid UTF-16
            continue
        if (text := decode_strictly(body, name)) is not None:
            return Decoded(text, name)
        believed.append(name)
    if _is_utf8(body):
        return Decoded(body.decode(), "utf-8")
    if is_utf8_with_faults(body):
        return Decoded(decode_as(body, "utf-8"), "utf-8")
    for name in believed:
        text = decode_as(body, name)
        beyond = len(text) - len(text.encode("ascii", "ignore"))
        if name != "utf-8" and text.count("\ufffd") <= _FAULTS * beyond:
            return Decoded(text, name)
    if (found := detect(body)) is None:
        return Decoded(body.decode("ascii", "replace"), UNKNOWN)
    return Decoded(decode_as(body, found), found)


def _declared(body: bytes, declared: str | None, html: bool) -> Iterator[str]:
    yield from names_in(declared)
    if html:
        yield from declared_in(body)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
