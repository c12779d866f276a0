"""From the bytes of a page to text: byte order mark, declared encoding, detected encoding, in this order."""

from __future__ import annotations

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"""<meta[^<>]{1,300}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
_XML = re.compile(rb"""<\?xml[^<>]{1,200}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{2,40})""", re.I)
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)


def charset_of(content_type: str | None) -> str | None:
    """Return the charset parameter of a Content-Type header."""
    found = _HEADER.search(content_type or "")
    return found[1] if found else None


def decode(body: bytes, declared: str | None = None, *, html: bool = True) -> tuple[str, str]:
    """Return (text, encoding used). Never fails: what no encoding explains becomes U+FFFD.

    The order is that of browsers (WHATWG HTML § 13.2.3.2): mark, HTTP header, meta tag, detection (uchardet). A
    declared encoding is not believed where the bytes contradict it: then valid UTF-8 is UTF-8, and else it is detected.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace"), codec
    if guess := _unmarked_utf16(body):
        return body.decode(guess, "replace"), guess
    candidates = [declared]
    if html:
        head = body[:4096]
        candidates += [found[1].decode("ascii") for pattern in (_META, _XML) if (found := pattern.search(head))]
    for candidate in [*candidates, "utf-8"]:
        name = _python_name(candidate)
        if name is None:
            continue
        try:
            return body.decode(name), name
        except (UnicodeDecodeError, LookupError):
            continue
    from resiliparse.parse.encoding import detect_encoding

    # one stray byte must not turn a whole UTF-8 page into another encoding: detection sees that it is UTF-8 still
    detected = _python_name(detect_encoding(body)) or "utf-8"
    return body.decode(detected, "replace"), detected


def _unmarked_utf16(body: bytes) -> str | None:
    """Return the UTF-16 that a text without mark is in: Latin letters leave every other byte zero."""
    head = body[:2000]
    if head.count(0) * 3 < len(head) or len(head) < 4:
        return None
    return "utf-16-le" if head[1::2].count(0) > head[0::2].count(0) else "utf-16-be"


def _python_name(name: str | None) -> str | None:
    """Return Python's codec for a label of the web, or None where there is none that reads text."""
    if not name:
        return None
    from resiliparse.parse.encoding import map_encoding_to_html5

    # the web's iso-8859-1 is windows-1252 and its utf-16 in a meta tag can only be utf-8 (WHATWG Encoding)
    label = name.strip().lower()
    mapped = "utf-8" if label.startswith("utf-16") or label == "utf-7" else map_encoding_to_html5(label, False)
    try:
        return codecs.lookup(mapped).name if mapped else None
    except LookupError:
        return None
