"""The MIME type of a response, from headers as servers really send them (WHATWG MIME Sniffing)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.corpus.crawl.decode import has_controls

_ESSENCE = re.compile(r"\s*([!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+)(?=[\s;(]|\Z)", re.I)
_CHARSET = re.compile(r";\s*charset\s*=\s*(?:\"[^\"]*\"|[^\s;,]+)", re.I)
_HTML = re.compile(
    rb"\s*<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--)(?=[\s>]|(?<=--))",
    re.I,
)  # § 7.1, without the signatures of images and audio
_MAGIC = ((re.compile(rb"\s*<\?xml"), "text/xml"), (re.compile(rb"%PDF-"), "application/pdf"))


def mime_of(values: Sequence[str], body: bytes) -> str:
    """Return the MIME type, lower case, without parameters: the last valid one, else what the body looks like."""
    named = named_in(values)
    return named[-1] if named else _sniffed(body)


def named_in(values: Sequence[str]) -> list[str]:
    """Return the MIME types that Content-Type headers name, lower case, without parameters."""
    found = [match[1].lower() for value in values for part in value.split(",") if (match := _ESSENCE.match(part))]
    return [mime for mime in found if mime != "*/*"]


def content_type_of(values: Sequence[str], mime: str) -> str:
    """Return one content type for all that were sent: the MIME type, and the first charset that any of them names."""
    if len(values) == 1 and "," not in values[0]:
        return values[0]
    charset = next((match[0] for value in values if (match := _CHARSET.search(value))), "")
    return mime + charset


def _sniffed(body: bytes) -> str:
    head = body[:1445].removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(head):
        return "text/html"
    for pattern, mime in _MAGIC:
        if pattern.match(head):
            return mime
    marked = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    return "text/plain" if marked or not has_controls(head) else "application/octet-stream"
