"""Passages: adjacent n-grams are joined and cut out of a text with their surroundings, as GPT-3's authors did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.corpus.decontaminate.config import CutConfig

JOIN = "\n\n"
"""The separator between the pieces of a cut text: a paragraph break, after which no continuation is expected."""


@dataclass(frozen=True)
class Passage:
    """A run of words that a document and an item share: its number of words, and its characters in the document."""

    words: int
    start: int
    end: int


def passages(ngrams: Iterable[tuple[int, int, int, int]]) -> list[Passage]:
    """Return the longest passages that the n-grams of one item form in one document.

    ngrams: (number of the first word, number of words, first character, end) of each, sorted. N-grams that overlap or
    are adjacent form one passage.
    """
    found: list[Passage] = []
    stop = -1  # the number of the word after the last passage
    first = 0
    for place, length, start, end in ngrams:
        if found and place <= stop:
            stop = max(stop, place + length)
            found[-1] = Passage(stop - first, found[-1].start, max(found[-1].end, end))
        else:
            first, stop = place, place + length
            found.append(Passage(length, start, end))
    return found


def cut(text: str, spans: Sequence[tuple[int, int]], config: CutConfig) -> list[str] | None:
    """Return what is left of a text without the spans and `window` characters on either side of each. Short pieces are
    left out. The result is None if the cuts leave more than `max_pieces` pieces.

    Brown et al. 2020, appendix C: "we removed the gram and a 200-character window around it, splitting the original
    document into pieces. Pieces less than 200 characters long were discarded. Documents which were split into more than
    10 pieces were considered contaminated and removed entirely." Removing a document for one n-gram "overly penalized
    long documents such as books".
    """
    pieces = []
    at = 0
    for start, end in sorted(spans):
        pieces.append(text[at : max(at, start - config.window)])
        at = max(at, min(len(text), end + config.window))
    pieces.append(text[at:])
    pieces = [piece for piece in pieces if piece]
    if len(pieces) > config.max_pieces:
        return None
    return [piece for piece in pieces if len(piece) >= config.shortest_piece]
