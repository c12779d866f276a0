"""Read what a page says about itself: title, language, author, date, licence and canonical URL.

The sources are the parser's canonical source, where attributes are `name="value"` and `<` always begins a tag, and
linked data (schema.org as JSON). What a page does not say is None. The page's text is used only for the date next to
the heading and for elements marked as author or date.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from tasks.corpus.clean.html.byline import author_said, date_beside, dates_said
from tasks.corpus.clean.html.dates import iso_date
from tasks.corpus.clean.html.tokens import find

_ATTRIBUTE = re.compile(r"([\w:.-]+)=\"([^\"]*)\"")
_LANGUAGE = re.compile(rb"<html\b[^>]*?\s(?:xml:)?lang=\"([A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*)\"")
_LARGEST_LINKED = 200_000  # characters; larger data are a catalogue, not a description of the page

# Names of meta tags, the best first: Open Graph, schema.org, Dublin Core, then what sites use.
_DATE_NAMES = (
    "article:published_time og:published_time datepublished dc.date.issued dcterms.issued dcterms.created dc.date "
    "dcterms.date citation_publication_date publish-date publish_date publication_date pubdate date parsely-pub-date "
    "published published-date date-pub citation_date citation_online_date sailthru.date "
    "article.published"
)
_AUTHOR_NAMES = "author citation_author dc.creator dcterms.creator parsely-author sailthru.author article:author"
_DATES, _AUTHORS = _DATE_NAMES.split(), _AUTHOR_NAMES.split()
_LICENCES = ("dcterms.license", "dc.rights.license", "license")
_KINDS = ("og:type", "type")
_TITLES = ("og:title", "og:site_name")
# the meta tags that are read, of about 30 on a page
_NAMED = frozenset([*_DATES, *_AUTHORS, *_LICENCES, *_KINDS, *_TITLES])
_NAMED_AS_BYTES = frozenset(name.encode() for name in _NAMED)
_RELATIONS = ("canonical", "license")
_TAGS = {name: re.compile(f"<{name} ([^>]*)".encode()) for name in ("meta", "link", "a")}
_DATED_ADDRESS = re.compile(r"/((?:19|20)\d\d)[/-](\d\d)[/-](\d\d)(?![^/_-])")


@dataclass(frozen=True)
class Metadata:
    """What a page says about itself; None for what it does not say."""

    language: str | None = None  # a BCP 47 tag as declared, such as "de" or "pt-BR"
    author: str | None = None  # names, separated by "; "
    date: str | None = None  # of publication: ISO 8601, as precise as the page says
    licence: str | None = None  # the URL that the page links as its licence
    canonical_url: str | None = None  # as the page declares it; accepted only on the same site


@dataclass(frozen=True)
class Declared:
    """The declarations of a page: meta tags by name, links by relation, and items of linked data.

    It contains only those names and relations that the metadata and the model need.
    """

    language: str | None
    named: dict[str, list[str]]
    links: dict[str, str]
    linked: list[dict[str, Any]]
    source: bytes

    @property
    def kinds(self) -> set[str]:
        """The kinds of page that it declares to be, in lower case: types of Open Graph and of schema.org."""
        kinds = {kind.lower() for name in _KINDS for kind in self.named.get(name, ())}
        return kinds | {kind.lower() for item in self.linked for kind in _texts(item.get("@type"))}


def declared(source: bytes, scripts: str) -> Declared:
    """Read what a page declares, from the parser's canonical source and from its unchanged scripts."""
    named: dict[str, list[str]] = {}
    head = source[: source.find(b"<body")]
    for tag in _TAGS["meta"].findall(head):
        if _NAMED_AS_BYTES.isdisjoint(tag.lower().split(b'"')):  # no attribute has any of these values
            continue
        attributes = dict(_ATTRIBUTE.findall(tag.decode("utf-8", "replace")))
        name = (attributes.get("property") or attributes.get("name") or attributes.get("itemprop") or "").lower()
        if name in _NAMED and attributes.get("content"):
            named.setdefault(name, []).append(html.unescape(attributes["content"]).strip())
    links: dict[str, str] = {}
    said = [
        link for link in _TAGS["link"].findall(head) if b"canonical" in (lower := link.lower()) or b"license" in lower
    ]
    if find(source, b"license") >= 0:
        said += [link for link in _TAGS["a"].findall(source) if b"license" in link.lower()]
    for link in said:
        attributes = dict(_ATTRIBUTE.findall(link.decode("utf-8", "replace")))
        for relation in attributes.get("rel", "").lower().split():
            if relation in _RELATIONS:
                links.setdefault(relation, html.unescape(attributes.get("href", "")).strip())
    language = _LANGUAGE.search(source, 0, 20_000)
    return Declared(
        language[1].decode().replace("_", "-") if language else None, named, links, list(_linked_data(scripts)), source
    )


def metadata(page: Declared, url: str | None = None, heading: tuple[int, int] | None = None) -> Metadata:
    """Return the metadata of a page that was fetched from `url`; `heading` is where its heading is in the source."""
    return Metadata(
        language=page.language,
        author=_author(page.named, page.linked) or author_said(page.source),
        date=_date(page, url, heading),
        licence=_licence(page, url),
        canonical_url=_canonical(page.links.get("canonical"), url),
    )


def _date(page: Declared, url: str | None, heading: tuple[int, int] | None) -> str | None:
    said = [text for name in _DATES[:3] for text in page.named.get(name, ())]
    said += [text for item in page.linked for text in _texts(item.get("datePublished"))]
    said += [text for name in _DATES[3:] for text in page.named.get(name, ())]
    shown = _first_date(said) or _first_date(dates_said(page.source))
    if shown is None and heading:
        shown = date_beside(page.source, heading)
    address = _DATED_ADDRESS.search(urlsplit(url).path) if url and shown is None else None
    return iso_date("-".join(address.groups())) if address else shown


def _first_date(texts: Iterable[str]) -> str | None:
    return next((date for text in texts if (date := iso_date(text))), None)


def _author(named: dict[str, list[str]], linked: list[dict[str, Any]]) -> str | None:
    said = [[name for item in linked for name in _names(item.get("author"))]]
    said += [named.get(name, []) for name in _AUTHORS]
    for names in said:
        # the URL of a profile is not a name
        good = [" ".join(name.split()) for name in names if name and "://" not in name and len(name) <= 100]
        if good:
            return "; ".join(dict.fromkeys(good[:10]))
    return None


def _licence(page: Declared, url: str | None) -> str | None:
    said = [page.links.get("license", "")]
    said += [text for item in page.linked for text in _texts(item.get("license"))]
    said += [text for name in _LICENCES for text in page.named.get(name, ())]
    return next((found for text in said if (found := _absolute(text, url))), None)


def _canonical(text: str | None, url: str | None) -> str | None:
    """Return the canonical URL if it is on the page's own site, so that a page cannot claim the URL of another site."""
    found = _absolute(text or "", url)
    if found is None or url is None:
        return found
    ours, theirs = _host(url), _host(found)
    same = ours == theirs or ours.endswith(f".{theirs}") or theirs.endswith(f".{ours}")
    return found if same and "." in theirs else None


def _absolute(text: str, url: str | None) -> str | None:
    """Return a link as an absolute http(s) URL, or None if it is not valid."""
    try:
        found = urljoin(url or "", text) if text else ""
        parts = urlsplit(found)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or len(found) > 2000 or re.search(r"\s", found):
        return None
    return found


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _linked_data(raw: str) -> Iterator[dict[str, Any]]:
    """Yield the items of linked data that describe a text: an article, a page, a product and so on."""
    place = 0
    while (place := raw.find("application/ld+json", place)) >= 0:
        begin, end = raw.find(">", place) + 1, raw.find("</script", place)
        place += 1
        if not 0 < begin < end <= begin + _LARGEST_LINKED:
            continue
        try:
            data = json.loads(raw[begin:end], strict=False)
        except (ValueError, RecursionError):
            continue
        items = data if isinstance(data, list) else [data]
        for item in items[:20]:
            if isinstance(item, dict):
                graph = item.get("@graph")
                yield item
                yield from (part for part in graph[:50] if isinstance(part, dict)) if isinstance(graph, list) else ()


def _names(value: Any) -> list[str]:
    """Return the names of one or more authors, given as texts or as items with a name."""
    values = value if isinstance(value, list) else [value]
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in values[:10]]
    return [html.unescape(_paired(name)).strip() for name in names if isinstance(name, str)]


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [_paired(text) for text in values[:3] if isinstance(text, str)]


def _paired(text: str) -> str:
    """Return a text from JSON, whose escapes may hold half a surrogate pair, as a text that UTF-8 can encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
