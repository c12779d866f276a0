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
_ISO_2022_JP = re.compile(rb"\x1b\$[@B]")
# What the web calls by another name than Python does (WHATWG Encoding), or means more by.
_PYTHON = {"shift_jis": "cp932", "euc-kr": "cp949", "x-mac-cyrillic": "mac-cyrillic", "macintosh": "mac-roman"}
_PYTHON |= {"x-maccyrillic": "mac-cyrillic", "mac-cyrillic": "mac-cyrillic", "shift-jis": "cp932"}
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
    if guess := _unmarked(body):
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

    # one stray byte must not turn a whole UTF-8 page into another encoding: detection sees that it is UTF-8 still.
    # Not only the web's encodings are asked for: files of old Macs are in mac-cyrillic
    detected = _python_name(detect_encoding(body, html5_compatible=False)) or "cp1252"
    return body.decode(detected, "replace"), detected


def _unmarked(body: bytes) -> str | None:
    """Return the encoding of a text without mark that is no extension of ASCII and shows itself, or None.

    Latin letters in UTF-16 leave every other byte zero, all characters in UTF-32 every fourth. ISO-2022-JP is in seven
    bits, so that it would pass for UTF-8; its escape sequences are in no other text.
    """
    head = body[:2000]
    if _ISO_2022_JP.search(head):
        return "iso2022_jp"
    zeros = head.count(0)
    if zeros * 4 < len(head) or len(head) < 4:
        return None
    first, second, third, fourth = (head[place::4].count(0) for place in range(4))
    quarter = len(head) // 4
    if first == quarter and fourth < quarter / 2 and second > quarter * 0.9:
        return "utf-32-be"
    if fourth == quarter and first < quarter / 2 and third > quarter * 0.9:
        return "utf-32-le"
    even, odd = first + third, second + fourth
    if max(even, odd) < 3 * min(even, odd):  # zeros anywhere: a text with holes, or no text
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _python_name(name: str | None) -> str | None:
    """Return Python's codec for a label of the web, or None where there is none that reads text."""
    if not name:
        return None
    from resiliparse.parse.encoding import map_encoding_to_html5

    # the web's iso-8859-1 is windows-1252 and its utf-16 in a meta tag can only be utf-8 (WHATWG Encoding)
    label = name.strip().lower()
    mapped = "utf-8" if label.startswith("utf-16") or label == "utf-7" else map_encoding_to_html5(label, False)
    mapped = _PYTHON.get(mapped or label, mapped)
    try:
        return codecs.lookup(mapped).name if mapped else None
    except LookupError:
        return None
