"""Traps: sites that generate pages without end. Some are visible in the URL, others only in pages that repeat."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_SEGMENTS = 20  # of a path
WINDOW = 40  # pages of one pattern that are looked at in a row
REPEATS = 24  # of them that say nothing new: the pattern is a trap
FIRST_WINDOW = 32  # pages of a pattern before the first look; each further look comes at twice as many
FEW_NUMBERS = 4  # that a page may have for itself and still say nothing new: a year, the number of a page
_SAMPLE = 64  # numbers of a page that are looked at

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
    """Return whether a canonical URL shows by itself that it is one of endlessly many.

    A path more than 20 segments deep, one segment four times, two or more segments three times in a row (a relative
    link that resolves against itself). Numbers may repeat: /title/1/chapter/1/article/1/section/1 is a law. A date is
    no sign either, of whatever century it is: a calendar is a trap if it has no end, which only its pages show.
    """
    segments = [segment for segment in url.split("/", 3)[3].partition("?")[0].split("/") if segment]
    if len(segments) > MAX_SEGMENTS:
        return True
    return len(segments) >= 4 and len(segments) - len(set(segments)) >= 3 and _repeats(segments)


def is_dated(url: str) -> bool:
    """Return whether a URL names a day, a month or a year, as a calendar's do, and many an archive's."""
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
    """Return a URL with its numbers, hex strings and parameter values blotted out: the kind of page it names.

    >>> pattern_of("http://h/cal/2026/5?day=3&x=y")
    'http://h/cal/#/#?day=#&x=#'
    """
    path, mark, query = url.partition("?")
    scheme, _, rest = path.partition("://")
    host, slash, rest = rest.partition("/")
    return f"{scheme}://{host}{slash}{_VARIABLE.sub('#', rest)}{mark}{_VALUE.sub('=#', query)}"


def _shown(html: bytes) -> bytes:
    """Return what a page shows: without tags, scripts and styles (where each page may have its own token)."""
    first, *rest = _SCRIPT.split(html)
    shown = b" ".join([first, *(_SCRIPT_END.split(part, maxsplit=1)[-1] for part in rest if _SCRIPT_END.search(part))])
    return _TAG.sub(b" ", shown)


def _hashes(found: Iterable[bytes]) -> set[int]:
    return {int.from_bytes(hashlib.blake2b(one, digest_size=6).digest()) for one in set(found)}


@dataclass
class Pattern:
    """What is known of the pages of one pattern: how many there were, and the window that is being looked at."""

    pages: int = 0
    next_look: int = FIRST_WINDOW
    seen: int = 0  # pages of this window
    repeats: int = 0  # of those, pages whose words had all been in the window before
    words: set[int] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)
    trapped: bool = False

    def add(self, body: bytes) -> bool:
        """Count one more page; return whether the pattern turned out to be a trap with it.

        Once in a while, 40 pages in a row are looked at. If 24 of them have no word that an earlier one of the same
        window did not have, and no more than four numbers, the site is only counting: a calendar (twelve pages bring
        the months' names), a session id in each link, a search that finds the same things. Real pages nearly always
        bring a new word, or, as tables do, other numbers, and 17 that do so end the look, which makes it cheap: a
        lively pattern costs the words of 17 pages per doubling.
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
        """Return the state as JSON can hold it."""
        return {**vars(self), "words": sorted(self.words), "numbers": sorted(self.numbers)}

    @classmethod
    def of(cls, url: str) -> Pattern:
        """Begin with the pattern of a URL: at one that names a date it is looked at from the first page on."""
        return cls(next_look=1 if is_dated(url) else FIRST_WINDOW)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Pattern:
        """Take up a state that `to_dict` returned."""
        return cls(**{**state, "words": set(state["words"]), "numbers": set(state["numbers"])})
