"""XML from the web, prepared for a parser: in UTF-8, with valid character references only, within limits."""

from __future__ import annotations

import re
from typing import Any

from tasks.corpus.charsets.detect import is_utf8_with_faults
from tasks.corpus.charsets.labels import name_of
from tasks.corpus.charsets.web import decode

# A broken document is read as far as possible. XML features that a list or a licence does not need are switched off:
# entities are not expanded, nothing is loaded, nesting ends at 256 levels. The encoding is that of `parsable`'s output.
LIMITS: dict[str, Any] = {
    "encoding": "utf-8",
    "recover": True,
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_ENCODING = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_.:-]{2,40})["']""")
_REFERENCES = re.compile(
    rb"<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+(?:\]\]>|\Z)"  # text, in which nothing is a reference
    rb"|(?:&#(?:x[0-9a-fA-F]++|[0-9]++);)++"
)
_NUMBER = re.compile(r"&#(?:x0*+([0-9a-fA-F]*)|0*+([0-9]*));")


def as_utf8(body: bytes) -> bytes:
    """Return XML without a byte order mark, converted from UTF-16 or its declared encoding to UTF-8.

    If it was converted, the declaration no longer names an encoding.
    """
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = body.decode("utf-16", "replace")
    elif body[:2] in (b"<\0", b"\0<"):
        text = body.decode("utf-16-le" if body[:1] == b"<" else "utf-16-be", "replace")
    else:
        declared = _ENCODING.match(body)
        name = name_of(declared[1].decode("ascii")) if declared is not None else None
        if name in (None, "utf-8", "utf-16le", "utf-16be") or (body.isascii() and b"\x1b" not in body):
            return body.removeprefix(b"\xef\xbb\xbf")
        text = decode(body, name or "")
    converted = text.encode("utf-8", "replace")
    declared = _ENCODING.match(converted)
    return converted if declared is None else b"<?xml version='1.0'" + converted[declared.end() :]


def parsable(body: bytes) -> bytes:
    """Return XML as valid UTF-8 in which each reference is to a character of XML; U+FFFD replaces invalid ones.

    lxml accepts half surrogates but cannot return them, and it stops at a zero byte. JavaScript counts an emoji as two
    halves (`&#55357;&#56832;`); two that belong together become the character.
    """
    body = as_utf8(body)
    try:
        body.decode()
    except UnicodeDecodeError:
        name = "utf-8" if is_utf8_with_faults(body) else "windows-1252"
        body = decode(body, name).encode("utf-8", "replace")
    body = body.replace(b"\0", b"\xef\xbf\xbd")
    return _REFERENCES.sub(_characters, body) if b"&#" in body else body


def local_name(element: Any) -> str:
    """Return the name of an element without its namespace; "" if it is not an element."""
    return element.tag.rpartition("}")[2].rpartition(":")[2] if isinstance(element.tag, str) else ""


def _characters(run: re.Match[bytes]) -> bytes:
    if run[0][:1] == b"<":
        return run[0]
    text = _NUMBER.sub(_character, run[0].decode("ascii"))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _character(reference: re.Match[str]) -> str:
    """Return a reference unchanged; if it is to a surrogate, that half; if to no character of XML, U+FFFD."""
    digits, base = (reference[1], 16) if reference[1] is not None else (reference[2], 10)
    number = int(digits or "0", base) if len(digits) < 8 else 0
    if 0xD800 <= number < 0xE000:
        return chr(number)
    known = 0x20 <= number < 0xFFFE or 0x10000 <= number < 0x110000 or number in (0x9, 0xA, 0xD)
    return reference[0] if known else "\ufffd"
