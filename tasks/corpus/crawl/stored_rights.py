"""What a stored page says about training: the header and the meta tags of pages in web archives and HTML files.

The author of an archive may not have checked for permission, so a *no* inside a stored page is respected on reading.
Only what comes with the page itself counts: robots.txt, tdmrep.json and licences elsewhere are not requested.
"""

from __future__ import annotations

import dataclasses
import datetime
import sys
from collections.abc import Collection, Iterable

from tasks.corpus.crawl.http_answer import RIGHTS_HEADERS
from tasks.corpus.crawl.links import links_of
from tasks.corpus.crawl.outcome import HTML
from tasks.corpus.crawl.rights import RSL, Statement, refusal, rights
from tasks.corpus.crawl.robots_meta import NOAI, TDM, reservation, robots_directives
from tasks.corpus.crawl.rsl import licences_in_page
from tasks.corpus.crawl.signals import said_in_headers
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.crawl.urls import canonical

_MARKS = (b"noai", b"tdm-reservation", b"rsl+xml")
# each mark with a sign in it, if any (without the sign there is no mark), and with its first four bytes as a number
_SIGNED = [
    (sign, mark, int.from_bytes(mark[:4], sys.byteorder)) for sign, mark in zip((b"", b"-", b"+"), _MARKS, strict=True)
]
_BLANK = 0x20  # setting this bit makes letters lower case, and leaves - and + unchanged
_LARGE = 8_192  # bytes; from this size on, numpy is faster
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def heeded(record: Record, honour: Collection[str], agent: str) -> Record:
    """Return the record with its `rights`, or, instead, with the reason why nobody may train on it."""
    if record.problem is not None or record.mime not in HTML:
        return record
    said = _said(record, agent)
    if not said:
        return record
    found = rights(said)
    if (refused := refusal(said, honour)) is None:
        return record._replace(rights=found)
    words = next(one.words for one in said if one.train != "allow")
    return record._replace(content=b"", problem=refused, detail=words[:200], rights=found)


def _said(record: Record, agent: str) -> list[Statement]:
    """Return the statements; a page that contains none of their keywords is not parsed."""
    content = record.content
    marked = _is_marked(content)
    if not marked and not record.headers:
        return []
    url = (record.url and canonical(record.url)) or "http://localhost/"  # a placeholder, as links are not followed
    headers = {name: [value for key, value in record.headers if key == name] for name in RIGHTS_HEADERS}
    said = said_in_headers(headers["content-signal"], headers["content-usage"])
    robots, reserved = robots_directives(headers["x-robots-tag"], agent), None
    where = "header"
    if marked:
        page = links_of(url, content, f"text/html; charset={record.charset}" if record.charset else None, agent=agent)
        reserved = page.tdm_reservation
        if NOAI not in robots:
            where = "page"
            for contents in page.robots.values():
                robots |= robots_directives(contents, agent)
        _, terms = licences_in_page(content, url)
        said += [Statement(RSL, one.train, "page", one.words) for one in terms]
    if NOAI in robots:
        said.append(Statement(NOAI, "deny", where, NOAI))
    if (found := reservation(reserved, _first(headers["tdm-reservation"]), (), "/")) is not None:
        is_reserved, place, words = found
        said.append(Statement(TDM, "deny" if is_reserved else "allow", place, words))
    at = record.fetched_at or datetime.datetime.now(datetime.UTC)
    return [dataclasses.replace(one, at=at) for one in said]


def _is_marked(content: bytes) -> bool:
    """Whether a page contains a keyword of a statement, in any letter case."""
    if content.startswith(_UTF_16):
        return True
    if len(content) >= _LARGE and not _may_be_marked(content):
        return False
    lowered = content.lower()
    return any([sign in content and mark in lowered for sign, mark, _ in _SIGNED])  # noqa: C419  a generator takes twice the time


def _may_be_marked(content: bytes) -> bool:
    """Whether a page contains the first four bytes of a mark; few pages do.

    They are searched as 32-bit numbers, at each of the four possible alignments. Compared with searching the words,
    this takes half the time for a page of 24 kB, and a third for larger ones.
    """
    import numpy as np  # imported here, as a crawl without files does not need it

    sought = [np.uint32(number) for sign, _, number in _SIGNED if sign in content]
    letters = np.frombuffer(content, np.uint8) | np.uint8(_BLANK)
    for offset in range(4):
        numbers = np.ndarray((len(content) - offset) // 4, np.uint32, letters, offset)  # type: ignore[arg-type]
        found = numbers == sought[0]
        for number in sought[1:]:
            found |= numbers == number
        if np.count_nonzero(found):
            return True
    return False


def _first(values: Iterable[str]) -> str | None:
    return next(iter(values), None)
