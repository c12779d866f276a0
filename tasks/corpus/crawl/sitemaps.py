"""Sitemaps and their indexes (sitemaps.org): XML, gzipped XML and plain lists, including broken ones."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from tasks.corpus.charsets.web import decode
from tasks.corpus.crawl.decode import unpacked
from tasks.corpus.crawl.markup import XML_PROLOG, unescape_xml
from tasks.corpus.crawl.urls import canonical
from tasks.corpus.crawl.xml import as_utf8

MAX_URLS = 50_000  # in one sitemap; the protocol's own limit
MAX_BYTES = 52_428_800  # of one sitemap once decompressed; the protocol's own limit
# Tags in the bytes: an XML parser would refuse the many sitemaps that are not valid XML, and would have to be protected
# from entity bombs. The tags of extensions (`image:loc`) have another prefix, or are inside an element of the extension
_TAG = re.compile(
    rb"<(/?)(?:([\w.-]{1,20}):)?(sitemapindex|urlset|sitemap|url|loc|lastmod|image|video|news)(?:\s[^<>]{0,2000})?>",
    re.I,
)
_TEXT = re.compile(rb"\s*+(?:<!\[CDATA\[\s*+((?:[^\]<]|\](?!\]>)){1,2200}+)|([^<]{1,2200}+))")
_ROOT = re.compile(XML_PROLOG + rb"<(?:[\w.-]{1,20}:)?(?:urlset|sitemapindex)[\s>]", re.I)
_START = re.compile(rb"<(?:[\w.-]{1,20}:)?(?:urlset|sitemapindex)\b", re.I)
_URL_LINES = re.compile(rb"(?:\s*+https?://[^\s<>]++)++\s*+", re.I)


@dataclass(frozen=True)
class Entry:
    """A URL that a list names, and the page's last change according to the list (seconds since the epoch)."""

    url: str
    lastmod: float | None = None


@dataclass(frozen=True)
class Sitemap:
    """What a sitemap contains: pages, or (if it is an index) further sitemaps."""

    entries: tuple[Entry, ...]
    is_index: bool = False
    cut: str | None = None  # the limit at which reading stopped


def is_sitemap(body: bytes, *, page: bool = False) -> bool:
    """Return whether a body begins as an XML sitemap does, whatever MIME type it was sent with.

    `page`: it was sent as a web page, so its root must be a sitemap's; other bodies may have something before it.
    """
    head = as_utf8(unpacked(body[:65_536], 65_536))
    return _ROOT.match(head) is not None if page else _START.search(head, 0, 4096) is not None


def is_url_list(body: bytes) -> bool:
    """Return whether a text is a sitemap in the protocol's plain-text form: one URL on each line, and nothing else."""
    lines = body[:65_536].removeprefix(b"\xef\xbb\xbf")
    whole = lines if len(body) <= 65_536 else lines.rpartition(b"\n")[0]
    return _URL_LINES.fullmatch(whole) is not None


def parse_sitemap(body: bytes, limit: int = MAX_BYTES, base: str | None = None) -> Sitemap:
    """Read a sitemap, at most `limit` decompressed bytes and 50,000 URLs of it; never raises.

    `base` is its own URL: some sitemaps name their pages relative to it. URLs of other sites are returned too; the
    crawler decides about scope.
    """
    cut = None
    plain = unpacked(body, limit + 1)
    if len(plain) > limit:
        cut, plain = f"only its first {limit:,} bytes were read, which is the protocol's limit", plain[:limit]
    plain = _without_comments(as_utf8(plain))
    found = _Reading(base)
    for tag in _TAG.finditer(plain):
        if not found.take(tag, plain):
            cut = f"only its first {MAX_URLS:,} URLs were read, which is the protocol's limit"
            break
    entries = found.entries
    if not entries and b"<" not in plain[:1000]:  # a plain list, one URL per line
        lines = plain.decode("utf-8", "replace").split(maxsplit=2 * MAX_URLS)[: 2 * MAX_URLS]
        entries = dict.fromkeys([url for line in lines if (url := canonical(line))][:MAX_URLS])
    return Sitemap(tuple(Entry(url, when) for url, when in entries.items()), found.is_index, cut)


class _Reading:
    """Takes the tags of a sitemap one after the other and collects what they contain."""

    def __init__(self, base: str | None) -> None:
        self.entries: dict[str, float | None] = {}
        self.is_index = False
        self._base = base
        self._prefix: bytes | None = None  # of the root, and so of all tags that are not an extension's
        self._rooted = self._in_url = self._in_media = False
        self._current: str | None = None
        self._lastmod: float | None = None

    def take(self, tag: re.Match[bytes], body: bytes) -> bool:
        """Process one tag; return whether there was room for what it named."""
        ends, prefix, name = bool(tag[1]), tag[2], tag[3].lower()
        if name in (b"image", b"video", b"news"):
            self._in_media = not ends and body[tag.end() - 2 : tag.end() - 1] != b"/"
        elif name in (b"urlset", b"sitemapindex"):
            if not ends and not self._rooted:
                self._rooted, self._prefix, self.is_index = True, prefix, name == b"sitemapindex"
        elif self._rooted and prefix != self._prefix:
            pass
        elif name in (b"url", b"sitemap"):
            self._in_url, self._in_media, self._current, self._lastmod = not ends, False, None, None
        elif not ends and not self._in_media and (text := _TEXT.match(body, tag.end())) is not None:
            value = _decoded(text[1] or text[2]).strip()
            value = value if text[1] is not None else unescape_xml(value)
            return self._lastmod_is(value) if name == b"lastmod" else self._loc_is(value)
        return True

    def _lastmod_is(self, value: str) -> bool:
        self._lastmod = parse_date(value)
        if self._current is not None:
            self.entries[self._current] = self._lastmod
        return True

    def _loc_is(self, value: str) -> bool:
        if (self._in_url and self._current is not None) or not value or (url := canonical(value, self._base)) is None:
            return True
        if url not in self.entries and len(self.entries) >= MAX_URLS:
            return False
        self.entries.setdefault(url, self._lastmod)
        self._current = url
        return True


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return decode(raw, "windows-1252")


def _without_comments(body: bytes) -> bytes:
    """Return XML without its comments; a comment without an end continues to the end of the file."""
    kept, position = [], 0
    while (start := body.find(b"<!--", position)) >= 0:
        kept.append(body[position:start])
        end = body.find(b"-->", start + 4)
        position = len(body) if end < 0 else end + 3
    return b"".join([*kept, body[position:]]) if kept else body


def parse_date(text: str) -> float | None:
    """Return a W3C date (from a year alone to fractions of a second) in seconds since the epoch; None if it is not one.

    A day counts as the end of that day, so that a page changed later that day is never taken for an old one; likewise
    a month and a year.
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
