"""Sitemaps and their indexes (sitemaps.org): XML, gzipped XML, plain lists, however broken."""

from __future__ import annotations

import datetime
import re
import zlib
from dataclasses import dataclass
from html import unescape

from tasks.crawl.urls import canonical

MAX_URLS = 50_000  # of one sitemap; the protocol's own limit
MAX_BYTES = 52_428_800  # of one sitemap once decompressed; the protocol's own limit
# Tags of any namespace prefix, in the bytes: an XML parser would refuse the many sitemaps that are no XML, and would
# have to be kept from entity bombs
_TAG = re.compile(rb"<(?:\w{1,20}:)?(sitemapindex|sitemap|url|loc|lastmod)(?:\s[^<>]{0,500})?>", re.I)
_TEXT = re.compile(rb"\s*(?:<!\[CDATA\[)?\s*([^<>\]\s][^<>\]]{0,2100})")
_START = re.compile(rb"<(?:\w{1,20}:)?(?:urlset|sitemapindex)\b", re.I)


@dataclass(frozen=True)
class Entry:
    """A URL that a list names, and when the page was last changed as the list says (seconds of the epoch)."""

    url: str
    lastmod: float | None = None


@dataclass(frozen=True)
class Sitemap:
    """What a sitemap holds: pages, or (an index) further sitemaps."""

    entries: tuple[Entry, ...]
    is_index: bool = False


def is_sitemap(body: bytes) -> bool:
    """Return whether a body begins as an XML sitemap does, whatever MIME type it was sent with."""
    return _START.search(_plain(body[:65_536], 4096)[:4096]) is not None


def parse_sitemap(body: bytes, limit: int = MAX_BYTES) -> Sitemap:
    """Read a sitemap, at most `limit` decompressed bytes and 50,000 URLs of it; never raises.

    Foreign URLs are given too; scope is the crawler's business.
    """
    body = _plain(body, limit)
    entries: dict[str, float | None] = {}
    is_index, current, lastmod = False, None, None
    for tag in _TAG.finditer(body):
        name = tag[1].lower()
        if name == b"sitemapindex":
            is_index = True
        elif name in (b"url", b"sitemap"):
            current, lastmod = None, None
        elif (text := _TEXT.match(body, tag.end())) is not None:
            value = unescape(text[1].decode("utf-8", "replace")).strip()
            if name == b"lastmod":
                lastmod = parse_date(value)
                if current is not None:
                    entries[current] = lastmod
            elif (url := canonical(value)) is not None:
                if url not in entries and len(entries) >= MAX_URLS:
                    break
                entries.setdefault(url, lastmod)
                current = url
    if not entries and b"<" not in body[:1000]:  # a plain list, one URL a line
        lines = body.decode("utf-8-sig", "replace").split()[: 2 * MAX_URLS]
        entries = dict.fromkeys([url for line in lines if (url := canonical(line))][:MAX_URLS])
    return Sitemap(tuple(Entry(url, when) for url, when in entries.items()), is_index)


def _plain(body: bytes, limit: int) -> bytes:
    """Return the body unpacked, and UTF-16 as UTF-8."""
    if body[:2] == b"\x1f\x8b":
        try:
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body, limit)
        except zlib.error:
            return b""
    body = body[:limit]
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace").encode("utf-8", "replace")
    return body


def parse_date(text: str) -> float | None:
    """Return the seconds of the epoch of a W3C date, from a year to the fraction of a second; None for anything else.

    A day counts as its end, so that a page changed later on that day is never taken for an old one; so do a month and
    a year.
    """
    try:
        if re.fullmatch(r"\d{4}", text):
            return datetime.datetime(int(text) + 1, 1, 1, tzinfo=datetime.UTC).timestamp()
        if re.fullmatch(r"\d{4}-\d\d", text):
            first = datetime.datetime.fromisoformat(f"{text}-01").replace(tzinfo=datetime.UTC)
            return (first + datetime.timedelta(days=31)).replace(day=1).timestamp()
        if len(text) > 40:
            return None
        when = datetime.datetime.fromisoformat(text)
        if len(text) == 10:
            when += datetime.timedelta(days=1)
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
