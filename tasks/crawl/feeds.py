"""RSS and Atom feeds: the pages that their items link to, and when those were changed, however broken the XML."""

from __future__ import annotations

import datetime
import email.utils
import io
import re
from collections.abc import Iterator
from typing import Any

from tasks.crawl.sitemaps import Entry
from tasks.crawl.urls import canonical

MAX_ENTRIES = 10_000  # of one feed; those met in the wild have 10 to some hundred
_FEED = re.compile(
    rb"(?:<\?[\w-]+[^>]{0,500}>|<!DOCTYPE\s[^>\[]{0,300}(?:\[[^\]]{0,65536}\]\s*)?>"
    rb"|<!--(?:[^-]|-(?!->)){0,10000}-->|\s)*+<(?:[\w.-]{1,20}:)?(rss|feed|RDF)[\s>]"
)
_PERMALINK = re.compile(r"https?://\S+\Z", re.I)
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"


def is_feed(body: bytes) -> bool:
    """Return whether a body begins as an RSS or Atom feed does, whatever MIME type it was sent with."""
    return _FEED.match(_as_ascii(body[:70_000])) is not None


def parse_feed(body: bytes, url: str) -> tuple[Entry, ...]:
    """Return the items of a feed as canonical URLs with the dates they give, in its order, each once; never raises.

    RSS 0.9x and 2.0, RSS 1.0 (RDF), Atom (RFC 4287), and the next page of a paged feed (RFC 5005). Links are taken
    relative to `xml:base` or `url`. What XML allows and a feed has no need of is not done: entities are not expanded,
    nothing is loaded, nesting ends at 256 levels, the parser goes on behind errors.
    """
    from lxml import etree

    if not is_feed(body):
        return ()
    entries: dict[str, float | None] = {}
    base = url
    try:
        events = etree.iterparse(
            io.BytesIO(body),
            events=("start", "end"),
            recover=True,
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        inside = 0
        for event, element in events:
            if event == "start":
                if not isinstance(element.tag, str):
                    continue
                if _name(element) in ("feed", "rss", "RDF", "channel") and (own := element.get(_XML_BASE)):
                    base = canonical(own, base) or base
                inside += _name(element) in ("item", "entry")
                continue
            if _name(element) in ("item", "entry"):
                inside -= 1
                link, when = _item(element, base)
                if link is not None:
                    entries.setdefault(link, when)
                if len(entries) >= MAX_ENTRIES:
                    break
            elif inside == 0 and (more := _next_page(element, base)) is not None:
                entries.setdefault(more, None)
            if inside == 0:  # what has been read is let go; an item is needed whole
                element.clear()
    except (etree.XMLSyntaxError, ValueError, LookupError):  # a document that even recovery gives up on
        pass
    return tuple(Entry(link, when) for link, when in entries.items())


def _item(item: Any, base: str) -> tuple[str | None, float | None]:
    """The link of an item and its date: the page's own place before that of an intermediary."""
    base = canonical(item.get(_XML_BASE) or "", base) or base
    links: dict[int, str] = {}
    when: float | None = None
    for child in _children(item):
        name, text = _name(child), (child.text or "").strip()
        if name == "origLink" and text:
            links.setdefault(0, text)
        elif name == "link" and child.get("href") is not None:
            if child.get("rel", "alternate") == "alternate":
                links.setdefault(1, child.get("href"))
        elif name == "link" and text:
            links.setdefault(2, text)
        elif name == "guid" and child.get("isPermaLink", "true").lower() == "true" and _PERMALINK.match(text):
            links.setdefault(3, text)
        elif name == "id" and _PERMALINK.match(text):
            links.setdefault(4, text)
        elif name in ("updated", "modified", "pubDate", "date", "published"):
            found = _date(text)
            when = found if when is None else max(when, found or when)
    for rank in sorted(links):
        if (link := canonical(links[rank], base)) is not None:
            return link, when
    return None, when


def _next_page(element: Any, base: str) -> str | None:
    """The URL of the next page of a feed, where the element is a link to it."""
    if _name(element) != "link" or element.get("rel") != "next":
        return None
    return canonical(element.get("href") or "", base)


def _children(item: Any) -> Iterator[Any]:
    return (child for child in item if isinstance(child.tag, str))


def _name(element: Any) -> str:
    """The name of an element without its namespace; "" for what is no element."""
    return element.tag.rpartition("}")[2].rpartition(":")[2] if isinstance(element.tag, str) else ""


def _date(text: str) -> float | None:
    """Seconds of the epoch of an RFC 822 date (RSS) or an ISO 8601 one (Atom, Dublin Core)."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _as_ascii(head: bytes) -> bytes:
    """The beginning of a document with its mark taken off, and of UTF-16 every byte that is no zero."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[2:].replace(b"\0", b"")
    return head.removeprefix(b"\xef\xbb\xbf")
