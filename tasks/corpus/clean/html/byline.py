"""Author and publication date as a page shows them: in elements marked as such, and the date next to the heading."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from tasks.corpus.clean.html.dates import iso_date
from tasks.corpus.clean.html.tokens import find

# How much text after and before the heading is searched, in letters, and how much source, in bytes. On the mixed pages
# that declare no date, 300 letters after it hold 24 right dates and 6 wrong ones; 200 hold 23 and 4, 1,000 hold 25 and
# 10.
BEHIND, BEFORE = 300, 150
LONGEST = 100  # characters of a line with a date: "By Ann Smith | Published on October 24, 2019 | 5 min read"
_BYTES_BEHIND, _BYTES_BEFORE = 10_000, 3_000

_MOST_SAID = 50  # elements that are looked at; on a page with a thousand comments, each of them has a date
_SAYS_SO = re.compile(r"^<(?:time .*(?: pubdate|publish)|.* itemprop=\"date(?:Published|Created)\")", re.I | re.S)
_LONGEST_NAME, _BYTES_OF_NAME = 60, 2_000
_CONTENT = re.compile(r"\scontent=\"([^\"]*)\"")
_NAMED = re.compile(r"<[^>]*itemprop=\"name\"[^>]*?(?:\scontent=\"([^\"]*)\"[^>]*>|>\s*([^<\s][^<]*))")
_VALUE = re.compile(r"(?:content|datetime)=\"([^\"]*)\"")
_TIME = re.compile(r"<time\s[^>]*?datetime=\"([^\"]*)\"[^>]*>.*?</time>", re.S)
_BREAK = re.compile(
    r"<(?!/?(?:a|abbr|address|b|bdi|code|em|font|i|mark|q|s|small|span|strong|sup|time|u|wbr)[\s>])[^>]*>"
)
_TAG = re.compile(r"<[^>]*>")
_ENDS = (".", "!", "?", "。", ":")  # a line that ends like this is a sentence that mentions a date
_OTHER_DATE = re.compile(r"updated|modified|edited|review|last change|aktualisiert|mis à jour|actualizado", re.I)
_PUBLISHED = re.compile(r"publi|posted|veröffentlicht", re.I)


def dates_said(source: bytes) -> Iterator[str]:
    """Yield the contents of the elements that are marked as the date of publication, in document order."""
    for mark in (b'itemprop="date', b"<time "):
        for tag, place in _tags(source, mark):
            if _SAYS_SO.match(tag):
                value = _VALUE.search(tag)
                text = source[place : max(place, source.find(b"<", place))].decode("utf-8", "replace")
                yield html.unescape(value[1] if value else text).strip()


def author_said(source: bytes) -> str | None:
    """Return the name in the first element that is marked as the author, else in all author links if they agree."""
    marked = next(
        (name for tag, place in _tags(source, b'itemprop="author"') if (name := _name(source, tag, place))), None
    )
    if marked:
        return marked
    linked = {name for tag, place in _tags(source, b'rel="author"') if (name := _name(source, tag, place))}
    return linked.pop() if len(linked) == 1 else None


def _tags(source: bytes, mark: bytes) -> Iterator[tuple[str, int]]:
    """Yield the start tags that contain `mark`, and where each of them ends."""
    place = -1
    for _ in range(_MOST_SAID):
        place = find(source, mark, place + 1)
        if place < 0:
            break
        begin, end = source.rfind(b"<", 0, place + 1), source.find(b">", place)
        if end < 0:
            break
        yield source[begin:end].decode("utf-8", "replace"), end + 1


def _name(source: bytes, tag: str, place: int) -> str:
    """Return the name in an element, given its start tag and the place where its content begins; "" if it has none."""
    element = tag[1:].split(maxsplit=1)[0]
    if value := _CONTENT.search(tag):
        text = value[1]
    elif element == "link" or (end := source.find(f"</{element}>".encode(), place, place + _BYTES_OF_NAME)) < 0:
        return ""
    else:
        inner = source[place:end].decode("utf-8", "replace")
        named = _NAMED.search(inner)
        text = (named[1] or named[2]) if named else _TAG.sub(" ", inner)
    name = " ".join(html.unescape(text).split())
    return name if len(name) <= _LONGEST_NAME and "://" not in name else ""


def date_beside(source: bytes, heading: tuple[int, int]) -> str | None:
    """Return the date in the first short line with a date after the heading, or else in the last such line before it.

    The date of the last change does not count as the date of publication.
    """
    begin, end = heading
    behind = _lines(source[end : end + _BYTES_BEHIND])
    before = _lines(source[max(0, begin - _BYTES_BEFORE) : begin])[::-1]
    return _first_date(behind, BEHIND) or _first_date(before, BEFORE)


def _first_date(lines: list[str], letters: int) -> str | None:
    for line in lines:
        if len(line) <= LONGEST and not line.endswith(_ENDS) and any(letter.isdecimal() for letter in line):
            other = _OTHER_DATE.search(line) and not _PUBLISHED.search(line)
            date = None if other else iso_date(line)
            if date and len(date) >= len("2025-01-01"):
                return date
        letters -= len(line)
        if letters < 0:
            break
    return None


def _lines(source: bytes) -> list[str]:
    """Return the lines of a piece of canonical source; a <time> that has a valid value is replaced by this value."""
    text = source.decode("utf-8", "replace")
    text = _TIME.sub(lambda time: time[1] if iso_date(time[1]) else time[0], text)
    lines = (" ".join(html.unescape(_TAG.sub(" ", line)).split()) for line in _BREAK.split(text))
    return [line for line in lines if line]
