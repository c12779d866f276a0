"""What a page's own head says about its encoding: the meta elements and the XML declaration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.corpus.charsets.labels import names_in

WINDOW = 65_536  # bytes that are searched; browsers read 1,024 at first, and start again if a meta comes later
_LONGEST_TAG = 2_000
_XML = re.compile(rb"""\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([^"'<>]{2,60})["']""")
_NEXT = re.compile(rb"<(?:(!--)|meta[\s/])", re.I)
_COMMENT_END = re.compile(rb"--!?>")
_ATTRIBUTE = re.compile(rb"""[\s/]*+(?:(>)|([^\s/>=]++)\s*+(?:=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"']*+)))?+)""")
_CHARSET = re.compile(r"""charset\s*=\s*(?:"([^"]{1,100})"|'([^']{1,100})'|([^"';]{1,100}))""", re.I)
# A page that was readable up to its declaration cannot be in these encodings (WHATWG HTML § 13.2.3.2): it declares one
# but means the other.
_MEANT = {"utf-16le": "utf-8", "utf-16be": "utf-8", "x-user-defined": "windows-1252"}


def charset_of(content_type: str | None) -> str | None:
    """Return the charset parameter of a Content-Type header: a label, or a list of labels, as some servers send."""
    found = _CHARSET.search(content_type or "")
    return (found[1] or found[2] or found[3]).strip() or None if found else None


def declared_in(body: bytes) -> Iterator[str]:
    """Yield the names of the encodings that a page declares, in the order of the declarations."""
    head = body[:WINDOW]
    if xml := _XML.match(head):
        yield from _meant(xml[1].decode("latin-1"))
    last = head.lower().rfind(b"charset")
    head = head[: last + _LONGEST_TAG] if last >= 0 else b""
    position = 0
    while found := _NEXT.search(head, position):
        if found[1]:
            # <!--> and <!---> are comments with nothing in them
            end = _COMMENT_END.search(head, found.end() - 2)
            if end is None:
                return
            position = end.end()
            continue
        attributes, position = _attributes(head, found.end())
        said: str | None = attributes.get("charset")
        if said is None and attributes.get("http-equiv", "").strip().lower() == "content-type":
            said = charset_of(attributes.get("content"))
        if said is not None:
            yield from _meant(said)


def _meant(labels: str) -> Iterator[str]:
    for name in names_in(labels):
        yield _MEANT.get(name, name)


def _attributes(head: bytes, position: int) -> tuple[dict[str, str], int]:
    """Return the attributes of a tag and where it ends. A tag without an end has none, and is skipped."""
    tag = head[position : position + _LONGEST_TAG]
    found: dict[str, str] = {}
    place = 0
    while (attribute := _ATTRIBUTE.match(tag, place)) is not None and attribute.end() > place:
        place = attribute.end()
        if attribute[1]:
            return found, position + place
        value = (attribute[3] or attribute[4] or attribute[5] or b"").decode("latin-1")
        found.setdefault(attribute[2].decode("latin-1").lower(), value)
    return {}, position + len(tag)
