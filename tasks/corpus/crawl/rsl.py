"""RSL 1.0 (Really Simple Licensing): what an XML licence says about training on a page, and where pages name one.

https://rslstandard.org/rsl. A crawl has no licence server, and nobody who could pay or agree, so a licence that asks
for either is a *no*. So is one that lists the permitted uses and leaves training out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

from tasks.corpus.crawl.rights import RSL, Permission, Statement, combined
from tasks.corpus.crawl.robots_meta import PathPattern
from tasks.corpus.crawl.signals import normal_path
from tasks.corpus.crawl.urls import canonical, origin_of
from tasks.corpus.crawl.xml import LIMITS, local_name, parsable

MAX_BYTES = 1_000_000  # maximum size of a licence
MAX_CONTENTS = 2000  # maximum number of <content> elements in one document
MAX_LINKS = 8  # maximum number of licences that one page or response names
_NAMESPACE = re.compile(r"https?://(?:www\.)?rslstandard\.org/rsl/?\Z", re.I)
_TRAINING = frozenset({"all", "ai-all", "ai-train", "train-ai", "ai", "genai", "train-genai"})
_LINK_HEADER = re.compile(r"<([^<>]{1,2000})>((?:[^,<\"]|\"[^\"]{0,500}\"){0,500})")
_PARAMETER = re.compile(r";\s*([a-z*]+)\s*=\s*(\"[^\"]*\"|[^\s;,\"]+)", re.I)
_QUOTED = r"\"[^\"]{0,4000}\"|'[^']{0,4000}'"
_MARKUP = re.compile(
    rf"<(?:(!--)|(link|script|style|textarea|title|template)(?=[\s/>])((?:[^<>\"']|{_QUOTED}){{0,200}}+)>)".encode(),
    re.I,
)
_ATTRIBUTE = re.compile(rf"([a-z]+)\s*=\s*({_QUOTED}|[^\s\"'<>]+)".encode(), re.I)
_COMMENT_END = re.compile(rb"--!?>")
_CDATA = re.compile(rb"\A\s*(?://\s*)?<!\[CDATA\[(.*?)(?://\s*)?\]\]>\s*\Z", re.S)
_ITEMS = ("item", "entry")


@dataclass(frozen=True)
class Terms:
    """What one <content> says about training. `url`: its subject, "" = whatever names it; `item`: a feed item's URL."""

    url: str
    train: Permission
    words: str
    item: str | None = None

    def rank(self, page: str) -> int | None:
        """Return how specifically the terms apply to a page; None if they do not."""
        place = self.url
        if place.startswith(("http://", "https://")):
            target = canonical(place)
            if target is None or origin_of(target).partition("://")[2] != origin_of(page).partition("://")[2]:
                return None
            place = "/" + place.split("/", 3)[3] if place.count("/") > 2 else "/"
        place = normal_path(place if place.startswith(("/", "*")) or not place else f"/{place}")
        return len(place) if PathPattern(place).match(normal_path(_path(page))) else None


def parse_rsl(body: bytes, base: str = "") -> list[Terms]:
    """Return the terms of a licence, also of one inside a feed or a page's script; [] if there are none.

    XML features that a licence does not need are switched off: entities are not expanded, nothing is loaded, nesting
    ends at 256 levels. A broken document is read as far as possible, as a *no* in it counts too.
    """
    from lxml import etree

    if len(body) > MAX_BYTES or b"<" not in body:
        return []
    found: list[Terms] = []
    try:
        root = etree.fromstring(parsable(body).strip(), etree.XMLParser(**LIMITS))
        for element in () if root is None else root.iter():
            if local_name(element) == "content" and _is_rsl(element):
                train, words = _judge(element)
                item = _item_of(element, base)
                found.append(Terms((element.get("url") or "").strip(), train, words, item))
                if len(found) >= MAX_CONTENTS:
                    break
    except (etree.XMLSyntaxError, ValueError):  # a document that even recovery gives up on
        pass
    return found


def said_of(terms: Iterable[Terms], page: str, where: str, named: str) -> Statement:
    """Return what the terms at `named` say about a page: the most specific ones count; among equals a *no* wins."""
    ranked = [(rank, one) for one in terms if (rank := one.rank(page)) is not None]
    if not ranked:
        return Statement(RSL, "unknown", where, f"{named}: names no terms for this page")
    closest = max(rank for rank, _ in ranked)
    nearest = [one for rank, one in ranked if rank == closest]
    train = combined(one.train for one in nearest)
    return Statement(RSL, train, where, f"{named}: {next(one.words for one in nearest if one.train == train)}")


def denies_everything(terms: Iterable[Terms]) -> bool:
    """Whether the terms are a *no* for every path of an origin, so that no page of it need be requested."""
    found = list(terms)
    return bool(found) and all(one.train == "deny" and one.url.rstrip("*") in ("", "/") for one in found)


def licences_in_headers(values: Iterable[str], base: str) -> list[str]:
    """Return the URLs of the RSL licences that Link headers name (RFC 8288)."""
    found: dict[str, None] = {}
    for value in values:
        for link in _LINK_HEADER.finditer(value[:20_000]):
            about = {m[1].lower(): m[2].strip('"').lower() for m in _PARAMETER.finditer(link[2])}
            is_rsl = about.get("type", "").startswith("application/rsl+xml")
            if is_rsl and "license" in about.get("rel", "").split() and (url := canonical(link[1], base)) is not None:
                found[url] = None
    return list(found)[:MAX_LINKS]


def licences_in_page(body: bytes, base: str) -> tuple[list[str], list[Terms]]:
    """Return the URLs of the RSL licences that an HTML page links to, and the terms that it contains itself.

    Few pages have any, so a page without the media type in it is not parsed; comments and other scripts are not
    searched.
    """
    if b"/rsl" not in body and b"/RSL" not in body:
        return [], []
    links: dict[str, None] = {}
    terms: list[Terms] = []
    position = 0
    while (tag := _MARKUP.search(body, position)) is not None:
        position = tag.end()
        if tag[1] is not None:
            end = _COMMENT_END.search(body, position - 2)
            position = len(body) if end is None else end.end()
            continue
        name, about = tag[2].lower(), _attributes(tag[3])
        is_rsl = about.get("type", "").partition(";")[0].strip().lower() == "application/rsl+xml"
        if name == b"link":
            named = is_rsl and "license" in about.get("rel", "").lower().split() and len(links) < MAX_LINKS
            if named and (url := canonical(about.get("href", "").strip(), base)) is not None:
                links[url] = None
            continue
        end = re.compile(rb"</" + name, re.I).search(body, position)
        inside = body[position : len(body) if end is None else end.start()]
        position = len(body) if end is None else end.end()
        if name == b"script" and is_rsl and len(terms) < MAX_LINKS:
            wrapped = _CDATA.match(inside)
            # a script's terms apply to the page that contains it, whatever URL they give: they move with its copies
            terms += [Terms("", one.train, one.words) for one in parse_rsl(wrapped[1] if wrapped else inside)]
    return list(links), terms


def said_in_feed(body: bytes, feed: str) -> Iterator[tuple[str, Statement]]:
    """Yield the pages that a feed has RSL terms for, and the terms; for other origins a feed can only say *no*."""
    if b"rslstandard.org" not in body:
        return
    for terms in parse_rsl(body, feed):
        if terms.item is None:
            continue
        own = canonical(terms.url, feed) if terms.url else None
        for page in dict.fromkeys(url for url in (terms.item, own) if url):
            if terms.train == "deny" or origin_of(page) == origin_of(feed):
                yield page, Statement(RSL, terms.train, feed, terms.words)


def _judge(content: Any) -> tuple[Permission, str]:
    """Return what a <content> says about training, and the words that decide it."""
    if content.get("server") or (content.get("encrypted") or "").strip().lower() == "true":
        return "deny", f"asks for a licence from {content.get('server') or 'its server'}"
    licences = [child for child in content if local_name(child) == "license"]
    for licence in licences:
        if prohibited := _tokens(licence, "prohibits", "usage") & _TRAINING:
            return "deny", f"prohibits {' '.join(sorted(prohibited))}"
    found = [_offer(licence) for licence in licences]
    for kind, permission in (("paid", "deny"), ("free", "allow"), ("unsaid", "unknown"), ("other", "deny")):
        for offer, words in found:
            if offer == kind:
                return permission, words  # type: ignore[return-value]
    return "unknown", "has no licence"


def _offer(licence: Any) -> tuple[str, str]:
    """Return what a licence that does not prohibit training offers: "free", "paid", "other" uses only, or "unsaid"."""
    permitted = _tokens(licence, "permits", "usage")
    if permitted and not permitted & _TRAINING:
        return "other", f"permits only {' '.join(sorted(permitted))}"
    for child in licence:
        if local_name(child) == "reporting":
            return "paid", "asks for reports"
        if local_name(child) == "payment" and not _is_free(child):
            return "paid", f"asks for payment ({child.get('type') or 'by agreement'})"
    conditions = [f"{kind} {who}" for kind in ("permits", "prohibits") for who in ("user", "geo")
                  if _tokens(licence, kind, who)]  # fmt: skip
    if conditions:
        return "unsaid", f"depends on who asks ({', '.join(conditions)})"
    if permitted:
        return "free", f"permits {' '.join(sorted(permitted & _TRAINING))}"
    free = any(
        local_name(child) == "payment" and (child.get("type") or "").strip().lower() == "free" for child in licence
    )
    return ("free", "free") if free else ("unsaid", "says nothing of training")


def _is_free(payment: Any) -> bool:
    kind = (payment.get("type") or "").strip().lower()
    amounts = [(child.text or "").strip().strip("0.") for child in payment if local_name(child) == "amount"]
    return not any(amounts) and (kind == "free" or (not kind and not len(payment)))


def _tokens(licence: Any, name: str, kind: str) -> set[str]:
    """Return the words in the elements with this name and type; an element without a type counts as "usage"."""
    said = [child.text or "" for child in licence
            if local_name(child) == name and (child.get("type") or "usage").strip().lower() == kind]  # fmt: skip
    return {word for text in said for word in re.split(r"[\s,]+", text.lower()) if word}


def _item_of(element: Any, base: str) -> str | None:
    """Return the page of the feed item that contains an element."""
    item = next((one for one in element.iterancestors() if local_name(one) in _ITEMS), None)
    if item is None:
        return None
    from tasks.corpus.crawl.feeds import item_link

    return item_link(item, base)


def _is_rsl(element: Any) -> bool:
    """Whether an element is in RSL's namespace, or in none inside an <rsl>; other formats have a `content` too."""
    namespace = element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""
    if namespace:
        return _NAMESPACE.match(namespace) is not None
    return element.tag.startswith("rsl:") or any(local_name(one) == "rsl" for one in element.iterancestors())


def _attributes(tag: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(tag):
        found.setdefault(match[1].decode().lower(), unescape(match[2].strip(b"\"'").decode("utf-8", "replace")))
    return found


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[3]
