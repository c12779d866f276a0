"""Cutting a text into passages: parts of at most so many words and characters, which end where the text has breaks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from data_lake.text.units import word_spans

_BREAKS = tuple(
    map(
        re.compile,
        (
            # a line that is not indented, after an empty one or before indented ones: what is indented belongs to it
            r"\n[^\S\n]*\n(?=\S)|\n(?=\S[^\n]*\n[^\S\n]+\S)",
            r"\n[^\S\n]*\n",
            r"\n",
            r"[.!?…]+[\"'”’)\]]*\s|[。！？｡।؟]",
        ),
    )
)
"""Where a passage may end, the best break first; without any, it ends before a word, or where it is full."""
_AHEAD = 200
"""Characters behind a break that may say what it is."""


def cut(text: str, words: int, characters: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, number of words) of each passage: together they are the whole text.

    A passage ends at the last break of the best sort in the second half of the room that it has.
    """
    begins = word_spans(text)[0].tolist()
    start, first = 0, 0
    while start < len(text):
        full = min(begins[first + words] if first + words < len(begins) else len(text), start + characters)
        end = full if full == len(text) else _end(text, begins, start, full)
        after = bisect_left(begins, end, first)
        yield start, end, after - first
        start, first = end, after


def _end(text: str, begins: list[int], start: int, full: int) -> int:
    """Return where a passage ends that could go on to `full`."""
    first, fits = bisect_left(begins, start), bisect_left(begins, full)
    half = (first + fits + 1) // 2
    # behind the beginning of the last word of the first half
    middle = begins[half - 1] + 1 if first < half < fits else start + (full - start) // 2
    for pattern in _BREAKS:
        ends = [match.end() for match in pattern.finditer(text, middle, full + _AHEAD) if match.end() <= full]
        if ends:
            return ends[-1]
    before = begins[bisect_left(begins, full + 1) - 1] if begins and begins[0] <= full else start
    return before if before > start else full
