"""The title of a page: its heading where that is what <title> speaks of, else <title> without the name of the site."""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.clean.html.metadata import Declared

MOST_HEADINGS, LONGEST = 20, 300  # headings looked at, and characters of one that may be a title

# How much of the words of a heading and of the page's own titles are the same (F1) for the heading to be the title. On
# every other page of the mixed ones .3 gives as many exact titles as .2 and .4, and so it is on the rest of them.
ALIKE = 0.3

_HEADING = re.compile(rb"<h1[\s>].*?</h1>", re.S)
_INLINE = re.compile(rb"</?(?:a|abbr|b|bdi|code|em|font|i|mark|q|s|small|span|strong|u|wbr)(?:\s[^>]*)?>")
_TAG = re.compile(rb"<[^>]*>")
_ANCHORS = " ¶#§\u200b"
_SEPARATOR = re.compile(r"(\s+[|•·»«:–—‒~/\\-]+\s+|\s*[|»«]\s*|:\s+)")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Title:
    """The title of a page, and where the heading that it is begins and ends in the canonical source."""

    text: str
    heading: tuple[int, int] | None = None


def title_of(source: bytes, said: str, page: Declared, url: str | None) -> Title:
    """Return the title of a page from its canonical source; `said` is its <title>."""
    graph = next(iter(page.named.get("og:title", ())), "")
    titles = [" ".join(html.unescape(text).split()) for text in (said, graph)]
    sites = _site_names(page, url)
    front = not url or urlsplit(url).path in ("", "/")
    plain = [without_site(text, sites, front=front) for text in titles]
    # a heading that is the last of several parts of <title> is the name of the site or of the book
    sites |= {_squeezed(parts[-1]) for text in titles if len(parts := _SEPARATOR.split(text)) > 2 and parts[-1]}
    headings = _headings(source)
    best, most = Title(""), 0.0
    for heading in headings:
        if _squeezed(heading.text) in sites and heading.text not in titles:
            continue
        alike = max(_alike(heading.text, text) for text in (*titles, *plain))
        if alike > most:
            best, most = heading, alike
    if most >= ALIKE:
        return best
    # of two spellings of one title the shorter has no name of the site; of two titles <title> is the page's own
    if plain[0] and plain[1] and plain[0].startswith(plain[1]):
        return Title(plain[1])
    others = (Title(text) for text in titles)
    return next((title for title in (*map(Title, plain), *headings, *others) if title.text), Title(""))


def without_site(title: str, sites: set[str], *, front: bool = False) -> str:
    """Return a title without the parts at its ends that name the site; that of its front page may begin with it."""
    parts = _SEPARATOR.split(title)
    while len(parts) > 2 and _names_site(parts[-1], sites):
        del parts[-2:]
    while not front and len(parts) > 2 and _names_site(parts[0], sites):
        del parts[:2]
    return "".join(parts).strip()


def _names_site(part: str, sites: set[str]) -> bool:
    squeezed = _squeezed(part)
    return squeezed in sites or (len(squeezed) >= 4 and any(squeezed in site or site in squeezed for site in sites))


def _site_names(page: Declared, url: str | None) -> set[str]:
    """Return the names of a page's site, squeezed: what it says itself, and its host without the last label."""
    names = {_squeezed(html.unescape(name)) for name in page.named.get("og:site_name", ())}
    labels = (urlsplit(url).hostname or "").removeprefix("www.").split(".") if url else []
    names |= {_squeezed(label) for label in labels[:-1]} | {_squeezed("".join(labels[:-1])), _squeezed("".join(labels))}
    return {name for name in names if len(name) >= 3} - {"com", "org", "net", "gov", "edu", "blog", "news", "docs"}


def _headings(source: bytes) -> list[Title]:
    found: list[Title] = []
    if b"<h1" not in source:
        return found
    for match in _HEADING.finditer(source):
        text = _TAG.sub(b" ", _INLINE.sub(b"", match[0])).decode("utf-8", "replace")
        heading = " ".join(html.unescape(text).split()).strip(_ANCHORS)
        if heading and len(heading) <= LONGEST:
            found.append(Title(heading, match.span()))
        if len(found) == MOST_HEADINGS:
            break
    return found


def _alike(one: str, other: str) -> float:
    ours, theirs = (Counter(_WORD.findall(text.casefold())) for text in (one, other))
    return 2 * (ours & theirs).total() / max(1, ours.total() + theirs.total())


def _squeezed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))
