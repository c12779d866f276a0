"""Find the title of a page: its heading if that is like <title>, else <title> without the name of the site."""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.corpus.clean.html.metadata import Declared
from tasks.corpus.clean.html.tokens import find

MOST_HEADINGS, LONGEST = 20, 300  # headings that are looked at; characters of the longest heading that may be a title

# A heading is the title only if its words agree with one of the page's declared titles at least this much (F1). On one
# half of the mixed pages (every other page) .3 gives as many exact titles as .2 and .4; the other half gives the same
# result.
ALIKE = 0.3

_INLINE = re.compile(rb"</?(?:a|abbr|b|bdi|code|em|font|i|mark|q|s|small|span|strong|u|wbr)(?:\s[^>]*)?>")
_TAG = re.compile(rb"<[^>]*>")
_ANCHORS = " ¶#§\u200b"
_SEPARATOR = re.compile(r"( [|•·»«:–—‒~/\\-]+ | ?[|»«] ?|: )")  # for a text in which all blanks are single
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Title:
    """The title of a page and, if it is a heading, where that heading begins and ends in Declared.source."""

    text: str
    heading: tuple[int, int] | None = None


def title_of(said: str, page: Declared, url: str | None) -> Title:
    """Return the title of a page; `said` is the text of its <title>."""
    graph = page.named.get("og:title", [""])[0]
    texts = [" ".join(html.unescape(text).split()) for text in (said, graph)]
    titles = list(dict.fromkeys(texts))
    parts = [_SEPARATOR.split(text) for text in titles]
    sites = _site_names(page, url)
    front = not url or urlsplit(url).path in ("", "/")
    plain = [_without_site(pieces, sites, front=front) for pieces in parts]
    # a heading that is equal to the last of several parts of <title> is the name of the site or of a book
    sites |= {_squeezed(pieces[-1]) for pieces in parts if len(pieces) > 2 and pieces[-1]}
    headings = _headings(page.source)
    wanted = [_words(text) for text in {*titles, *plain} if text]
    best, most = Title(""), 0.0
    for heading in headings:
        if _squeezed(heading.text) in sites and heading.text not in titles:
            continue
        words = _words(heading.text)
        alike = max([_alike(words, text) for text in wanted], default=0.0)
        if alike > most:
            best, most = heading, alike
            if most == 1:
                break
    if most >= ALIKE:
        return best
    # if one title is the beginning of the other, the shorter is without the site's name; if they differ, take <title>
    if plain[0] and plain[-1] and plain[0].startswith(plain[-1]):
        return Title(plain[-1])
    others = (Title(text) for text in titles)
    return next((title for title in (*map(Title, plain), *headings, *others) if title.text), Title(""))


def _without_site(parts: list[str], sites: set[str], *, front: bool) -> str:
    """Return a title without the parts at its ends that name the site; on the front page a first such part stays."""
    parts = list(parts)
    while len(parts) > 2 and _names_site(parts[-1], sites):
        del parts[-2:]
    while not front and len(parts) > 2 and _names_site(parts[0], sites):
        del parts[:2]
    return "".join(parts).strip()


def _names_site(part: str, sites: set[str]) -> bool:
    squeezed = _squeezed(part)
    return squeezed in sites or (len(squeezed) >= 4 and any(squeezed in site or site in squeezed for site in sites))


def _site_names(page: Declared, url: str | None) -> set[str]:
    """Return the squeezed names of a page's site: its declared name, and those from the labels of its host."""
    names = {_squeezed(html.unescape(name)) for name in page.named.get("og:site_name", ())}
    labels = (urlsplit(url).hostname or "").removeprefix("www.").split(".") if url else []
    names |= {_squeezed(label) for label in labels[:-1]} | {_squeezed("".join(labels[:-1])), _squeezed("".join(labels))}
    return {name for name in names if len(name) >= 3} - {"com", "org", "net", "gov", "edu", "blog", "news", "docs"}


def _headings(source: bytes) -> list[Title]:
    found: list[Title] = []
    end = 0
    while len(found) < MOST_HEADINGS and (begin := find(source, b"<h1", end)) >= 0:
        end = source.find(b"</h1>", begin)
        if end < 0:
            break
        text = _TAG.sub(b" ", _INLINE.sub(b"", source[begin:end])).decode("utf-8", "replace")
        heading = " ".join(html.unescape(text).split()).strip(_ANCHORS)
        if heading and len(heading) <= LONGEST:
            found.append(Title(heading, (begin, end)))
    return found


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def _alike(one: Counter[str], other: Counter[str]) -> float:
    return 2 * (one & other).total() / max(1, one.total() + other.total())


def _squeezed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))
