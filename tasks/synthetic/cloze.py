"""Lines of prose, cut between two words: evaluation uses lines of held-out pages, fine-tuning lines of other pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

BEFORE = 200
"""Largest number of characters before the cut, in whole lines: about 60 tokens, enough to show the line's topic."""
SHORTEST, LONGEST = 20, 60
"""Limits of an ending in characters: longer endings would measure how common a text is rather than whether it fits."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*[,.;:!?]?")


def cut_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield (context, ending) for every line of prose of a text."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    for number, line in enumerate(lines):
        cut = cut_line(line)
        if cut:
            begin, ending = cut
            yield "\n".join([*_before(lines, number, BEFORE - len(begin)), begin]), ending


def cut_line(line: str) -> tuple[str, str] | None:
    """Cut a line of prose near its middle: (beginning, ending); None if the line is code, a table or too short.

    If the rest of the line is longer than LONGEST, the ending is as many whole words as fit. A line is prose if at
    least three in four of its words consist of letters.
    """
    words = line.split()
    if len(words) < 6 or 4 * sum(bool(_WORD.fullmatch(word)) for word in words) < 3 * len(words):
        return None
    place = len(words) // 2
    ending = ""
    for word in words[place:]:
        if len(ending) + 1 + len(word) > LONGEST:
            break
        ending = f"{ending} {word}".strip()
    if len(ending) < SHORTEST:
        return None
    indent = line[: len(line) - len(line.lstrip())]
    return indent + " ".join(words[:place]), ending


def _before(lines: Sequence[str], number: int, room: int) -> Sequence[str]:
    """Return the lines before line `number` that fit into `room` characters."""
    start = number
    while start and len(lines[start - 1]) < room:
        room -= len(lines[start - 1]) + 1
        start -= 1
    return lines[start:number]
