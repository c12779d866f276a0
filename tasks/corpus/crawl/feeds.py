"""RSS, Atom and JSON feeds, even broken ones: the pages that their items link to, and when those last changed."""

from __future__ import annotations

import datetime
import email.utils
import io
import json
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Any

from tasks.corpus.crawl.markup import XML_PROLOG
from tasks.corpus.crawl.sitemaps import Entry
from tasks.corpus.crawl.urls import canonical
from tasks.corpus.crawl.xml import LIMITS, as_utf8, local_name, parsable

MAX_ENTRIES = 10_000  # of one feed; real feeds have between 10 and a few hundred
_ROOT = rb"<(?:[\w.-]{1,20}:)?(rss|feed|RDF)[\s>]"
_FEED = re.compile(XML_PROLOG + _ROOT)
_BEGINS = re.compile(rb"<\?xml\s|" + _ROOT)
_JSON_FEED = re.compile(rb'\s*\{[^{}]{0,2000}"https?:\\?/\\?/jsonfeed\.org\\?/version\\?/')
# `&` that does not begin an XML reference: it begins an HTML one or none; and CDATA sections, which are skipped
_STRAY = re.compile(
    rb"<!\[CDATA\[(?:[^\]]++|\](?!\]>))*+(?:\]\]>|\Z)"
    rb"|&(?!(?:amp|lt|gt|quot|apos|#\d{1,8}|#x[0-9a-fA-F]{1,6});)(?:([A-Za-z][A-Za-z0-9]{1,40};))?"
)
_PERMALINK = re.compile(r"https?://\S+\Z", re.I)
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"


def is_feed(body: bytes, *, page: bool = True) -> bool:
    """Return whether a body begins like a feed, whatever MIME type it was sent with.

    `page`: it may be a web page, so nothing may precede the feed; else other text may, such as a script's warning.
    """
    head = _as_ascii(body[:70_000])
    if not page and (start := _BEGINS.search(head, 0, 4096)) is not None:
        head = head[start.start() :]
    return _FEED.match(head) is not None or _JSON_FEED.match(head) is not None


def parse_feed(body: bytes, url: str) -> tuple[Entry, ...]:
    """Return the items of a feed as canonical URLs with their dates, in the feed's order, each once; never raises.

    Reads RSS 0.9x and 2.0, RSS 1.0 (RDF), Atom (RFC 4287), JSON Feed, and the link to the next page of a paged feed
    (RFC 5005). Links are resolved against `xml:base` or `url`. XML features that feeds do not need are disabled:
    entities are not expanded, nothing is loaded, nesting ends at 256 levels. The parser continues after errors.
    """
    from lxml import etree

    if not is_feed(body, page=False):
        return ()
    if _JSON_FEED.match(_as_ascii(body[:4096])) is not None:
        return _json_items(body, url)
    entries: dict[str, float | None] = {}
    base = url
    try:
        events = etree.iterparse(
            io.BytesIO(_well_formed(body)),
            events=("start", "end"),
            **LIMITS,
        )
        inside = 0
        for event, element in events:
            if event == "start":
                if not isinstance(element.tag, str):
                    continue
                if local_name(element) in ("feed", "rss", "RDF", "channel") and (own := element.get(_XML_BASE)):
                    base = canonical(own, base) or base
                inside += local_name(element) in ("item", "entry")
                continue
            if local_name(element) in ("item", "entry"):
                inside -= 1
                link, when = _item(element, base)
                if link is not None:
                    entries.setdefault(link, when)
                if len(entries) >= MAX_ENTRIES:
                    break
            elif inside == 0 and (more := _next_page(element, base)) is not None:
                entries.setdefault(more, None)
            if inside == 0:  # free what has been read; an item must be kept until its end
                element.clear()
    except (etree.XMLSyntaxError, ValueError):  # a document too broken even for the recovering parser
        pass
    return tuple(Entry(link, when) for link, when in entries.items())


def _well_formed(body: bytes) -> bytes:
    """Return the document from the start of the feed on, with each `&` turned into a reference that XML knows."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        body = as_utf8(body)
    if _FEED.match(_as_ascii(body[:70_000])) is None and (start := _BEGINS.search(body, 0, 4096)) is not None:
        body = body[start.start() :]
    body = parsable(body)
    return _STRAY.sub(_reference, body) if b"&" in body else body


def _reference(stray: re.Match[bytes]) -> bytes:
    if stray[0][:1] == b"<":
        return stray[0]
    known = html5.get((stray[1] or b"").decode("ascii"))
    if known is not None:
        return "".join(f"&#{ord(character)};" for character in known).encode()
    return b"&amp;" + (stray[1] or b"")


def _json_items(body: bytes, url: str) -> tuple[Entry, ...]:
    """Return the items of a JSON Feed (jsonfeed.org/version/1.1), and its next page."""
    try:
        feed = json.loads(body)
        items = feed.get("items")
    except (ValueError, RecursionError, AttributeError):
        return ()
    entries: dict[str, float | None] = {}
    for item in items[:MAX_ENTRIES] if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(link := item.get("url"), str):
            when = item.get("date_modified") or item.get("date_published")
            if (found := canonical(link, url)) is not None:
                entries.setdefault(found, _date(when) if isinstance(when, str) else None)
    if isinstance(more := feed.get("next_url"), str) and (following := canonical(more, url)) is not None:
        entries.setdefault(following, None)
    return tuple(Entry(link, when) for link, when in entries.items())


def item_link(item: Any, base: str) -> str | None:
    """Return the canonical URL of the page that a feed item links to."""
    return _item(item, base)[0]


def _item(item: Any, base: str) -> tuple[str | None, float | None]:
    """Return the link of an item and its date; the page's own URL is preferred to that of an intermediary."""
    base = canonical(item.get(_XML_BASE) or "", base) or base
    links: dict[int, str] = {}
    when: float | None = None
    for child in _children(item):
        name, text = local_name(child), (child.text or "").strip()
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
    """Return the URL of the next page of a feed if the element is a link to it, else None."""
    if local_name(element) != "link" or element.get("rel") != "next":
        return None
    return canonical(element.get("href") or "", base)


def _children(item: Any) -> Iterator[Any]:
    return (child for child in item if isinstance(child.tag, str))


def _date(text: str) -> float | None:
    """Return an RFC 822 date (RSS) or an ISO 8601 date (Atom, Dublin Core) in seconds since the epoch."""
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
    """Return the beginning of a document without its byte order mark and, in UTF-16, without zero bytes."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[2:].replace(b"\0", b"")
    return head.removeprefix(b"\xef\xbb\xbf")
