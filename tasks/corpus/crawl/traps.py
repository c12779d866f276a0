"""Traps: sites that generate pages without end. Some are visible in the URL, others only in pages that repeat."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_SEGMENTS = 20  # maximum in a path
WINDOW = 40  # pages of one pattern that are examined in a row
REPEATS = 24  # if this many of them say nothing new, the pattern is a trap
FIRST_WINDOW = 32  # pages of a pattern before the first window; each further window starts at twice as many
FEW_NUMBERS = 4  # a page with up to this many new numbers still says nothing new: a year, a page number
_SAMPLE = 64  # numbers of a page that are examined

_YEAR = r"(?<![0-9])(?:1[0-9]|2[0-9])[0-9]{2}"
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
_NUMBER = re.compile(rb"[0-9]+(?:[.,][0-9]+)*")


def is_trap(url: str) -> bool:
    """Return whether the spelling of a canonical URL alone shows that it is one of endlessly many.

    A path more than 20 segments deep, one segment four times, two or more segments three times in a row (a relative
    link that resolves against itself). Numbers may repeat: /title/1/chapter/1/article/1/section/1 is a law. A date,
    of any century, is not a sign either: a calendar is a trap only if it has no end, and only its pages show that.
    """
    segments = [segment for segment in url.split("/", 3)[3].partition("?")[0].split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        return True
    return len(segments) >= 4 and len(segments) - len(set(segments)) >= 3 and _repeats(segments)


def is_dated(url: str) -> bool:
    """Return whether a URL names a day, a month or a year, as those of calendars and many archives do."""
    return _DATED.search(url) is not None


def _repeats(segments: list[str]) -> bool:
    if any(segments.count(segment) >= 4 for segment in set(segments) if not segment.isdigit()):
        return True
    for length in range(2, len(segments) // 3 + 1):
        for start in range(len(segments) - 3 * length + 1):
            first = segments[start : start + length]
            if first == segments[start + length : start + 2 * length] == segments[start + 2 * length :][:length]:
                return not all(segment.isdigit() for segment in first)
    return False


def pattern_of(url: str) -> str:
    """Return a URL with its numbers, hex strings and parameter values replaced by #: the kind of page it names.

    >>> pattern_of("http://h/cal/2026/5?day=3&x=y")
    'http://h/cal/#/#?day=#&x=#'
    """
    path, mark, query = url.partition("?")
    scheme, _, rest = path.partition("://")
    host, slash, rest = rest.partition("/")
    return f"{scheme}://{host}{slash}{_VARIABLE.sub('#', rest)}{mark}{_VALUE.sub('=#', query)}"


def _shown(html: bytes) -> bytes:
    """Return what a page shows: without tags, scripts and styles (in which each page may have its own token)."""
    first, *rest = _SCRIPT.split(html)
    shown = b" ".join([first, *(_SCRIPT_END.split(part, maxsplit=1)[-1] for part in rest if _SCRIPT_END.search(part))])
    return _TAG.sub(b" ", shown)


def _hashes(found: Iterable[bytes]) -> set[int]:
    return {int.from_bytes(hashlib.blake2b(one, digest_size=6).digest()) for one in set(found)}


@dataclass
class Pattern:
    """What is known about the pages of one pattern: how many there were, and the window being examined."""

    pages: int = 0
    next_look: int = FIRST_WINDOW
    seen: int = 0  # pages in this window
    repeats: int = 0  # those of them that said nothing new: no new word, and few new numbers
    words: set[int] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    trapped: bool = False

    def add(self, body: bytes) -> bool:
        """Count one more page; return whether the pattern has turned out to be a trap.

        From time to time, a window of 40 pages in a row is examined. If 24 of them have no word, and at most four
        numbers, that were not on earlier pages of the window, the site is only counting: a calendar (twelve pages
        bring the months' names), a session id in each link, a search that finds the same things. Real pages nearly
        always bring a new word or, as tables do, other numbers, and 17 such pages end the window. That makes it
        cheap: a pattern of real pages costs the words of 17 pages each time its page count doubles.
        """
        self.pages += 1
        if self.pages < self.next_look or self.trapped:
            return False
        shown = _shown(body[:200_000])
        words, numbers = _hashes(_WORD.findall(shown)), set(sorted(_hashes(_NUMBER.findall(shown)))[:_SAMPLE])
        self.seen += 1
        self.repeats += words <= self.words and len(numbers - self.numbers) <= FEW_NUMBERS
        self.words |= words
        self.numbers |= numbers
        self.trapped = self.repeats >= REPEATS
        if self.trapped or self.seen - self.repeats > WINDOW - REPEATS:
            self.next_look, self.seen, self.repeats, self.words = 2 * self.pages, 0, 0, set()
            self.numbers = set()
        return self.trapped

    def to_dict(self) -> dict[str, Any]:
        """Return the state in a form that JSON can represent."""
        return {**vars(self), "words": sorted(self.words), "numbers": sorted(self.numbers)}

    @classmethod
    def of(cls, url: str) -> Pattern:
        """Start the pattern of a URL: if the URL names a date, pages are examined from the first one on."""
        return cls(next_look=1 if is_dated(url) else FIRST_WINDOW)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Pattern:
        """Restore a state that `to_dict` returned."""
        return cls(**{**state, "words": set(state["words"]), "numbers": set(state["numbers"])})
