"""Traps: sites that make pages without end. Some show in the URL, others only in pages that repeat themselves."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

MAX_SEGMENTS = 20  # of a path
WINDOW = 40  # pages of one pattern that are looked at in a row
REPEATS = 24  # of them that say nothing new: the pattern is a trap
FIRST_WINDOW = 32  # pages of a pattern before the first look; each further look comes at twice as many
_YEARS_AHEAD = 2

_YEAR = r"(?<![0-9])((?:1[0-9]|2[0-9])[0-9]{2})"
_DATED = re.compile(
    rf"/{_YEAR}[/-](?:0?[1-9]|1[0-2])(?=[/?]|-[0-9]{{1,2}}(?![^/?])|\Z)|[?&](?:y|yr|year|yyyy|jahr|ano|annee)={_YEAR}(?![0-9])|"
    rf"[?&][a-z_-]*(?:date|day|month|week|start|from|cal|time)[a-z_-]*={_YEAR}-?(?:0[1-9]|1[0-2])",
    re.I,
)
_VARIABLE = re.compile(r"[0-9a-f]{16,}|[0-9]+", re.I)
_VALUE = re.compile(r"=[^&]*")
_TAG = re.compile(rb"<[^<>]{0,4000}>|&[#0-9a-z]{1,10};", re.I)
_SCRIPT, _SCRIPT_END = re.compile(rb"<(?:script|style)\b", re.I), re.compile(rb"</(?:script|style)", re.I)
_WORD = re.compile(rb"[A-Za-z\x80-\xff]{2,40}")


def is_trap(url: str, year: int) -> bool:
    """Return whether a canonical URL looks like one of endlessly many: `year` is the current one.

    A path more than 20 segments deep, one segment four times, two or more segments three times in a row (a relative
    link that resolves against itself), or a calendar's page more than two years ahead or before 1970.
    """
    path = url.split("/", 3)[3]
    segments = [segment for segment in path.partition("?")[0].split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        return True
    if len(segments) >= 4 and (len(segments) - len(set(segments)) >= 3) and _repeats(segments):
        return True
    if (dated := _DATED.search(url)) is not None:
        found = int(next(group for group in dated.groups() if group))
        return not 1970 <= found <= year + _YEARS_AHEAD and _looks_like_calendar(url, found, year)
    return False


def _looks_like_calendar(url: str, found: int, year: int) -> bool:
    # /1848/03/ is history where an archive holds it, so the past only counts where the URL says "calendar"
    return found > year or re.search(r"cal(?:endar)?\b|events?\b|month|week|agenda|kalender", url, re.I) is not None


def _repeats(segments: list[str]) -> bool:
    if any(segments.count(segment) >= 4 for segment in set(segments)):
        return True
    for length in range(2, len(segments) // 3 + 1):
        for start in range(len(segments) - 3 * length + 1):
            first = segments[start : start + length]
            if first == segments[start + length : start + 2 * length] == segments[start + 2 * length :][:length]:
                return True
    return False


def pattern_of(url: str) -> str:
    """Return a URL with its numbers, hex strings and parameter values blotted out: the kind of page it names.

    >>> pattern_of("http://h/cal/2026/5?day=3&x=y")
    'http://h/cal/#/#?day=#&x=#'
    """
    path, mark, query = url.partition("?")
    scheme, _, rest = path.partition("://")
    host, slash, rest = rest.partition("/")
    return f"{scheme}://{host}{slash}{_VARIABLE.sub('#', rest)}{mark}{_VALUE.sub('=#', query)}"


def _words(html: bytes) -> set[bytes]:
    """Return the words of a page outside tags, scripts and styles (where each page may have its own token)."""
    first, *rest = _SCRIPT.split(html)
    shown = b" ".join([first, *(_SCRIPT_END.split(part, maxsplit=1)[-1] for part in rest if _SCRIPT_END.search(part))])
    return set(_WORD.findall(_TAG.sub(b" ", shown)))


@dataclass
class Pattern:
    """What is known of the pages of one pattern: how many there were, and the window that is being looked at."""

    pages: int = 0
    next_look: int = FIRST_WINDOW
    seen: int = 0  # pages of this window
    repeats: int = 0  # of those, pages whose words had all been in the window before
    words: set[int] = field(default_factory=set)
    trapped: bool = False

    def add(self, body: bytes) -> bool:
        """Count one more page; return whether the pattern turned out to be a trap with it.

        Once in a while, 40 pages in a row are looked at. If 24 of them have no word that an earlier one of the same
        window did not have, whatever their numbers and links, the site is only counting: a calendar (twelve pages
        bring the months' names), a session id in each link, a search that finds the same things. Real pages nearly
        always bring a new word, and 17 that do so end the look, which makes it cheap: a lively pattern costs the
        words of 17 pages per doubling.
        """
        self.pages += 1
        if self.pages < self.next_look or self.trapped:
            return False
        words = {int.from_bytes(hashlib.blake2b(word, digest_size=6).digest()) for word in _words(body[:200_000])}
        self.seen += 1
        self.repeats += words <= self.words
        self.words |= words
        self.trapped = self.repeats >= REPEATS
        if self.trapped or self.seen - self.repeats > WINDOW - REPEATS:
            self.next_look, self.seen, self.repeats, self.words = 2 * self.pages, 0, 0, set()
        return self.trapped

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON can hold it."""
        return {**vars(self), "words": sorted(self.words)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Pattern:
        """Take up a state that `to_dict` returned."""
        return cls(**{**state, "words": set(state["words"])})
