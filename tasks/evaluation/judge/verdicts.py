"""Reading a judge's words: a score from 0 to 100, or which of two answers is better; what is neither has a reason."""

from __future__ import annotations

import re
from typing import Literal

Letter = Literal["A", "B", "C"]

UNPARSABLE, CUT = "unparsable", "cut at max_tokens"

_NUMBER = r"(?:100|\d{1,2})"
# A number of its own: not a part of 1,000 or 7.5.1, and not negative; decimals count.
_SCORE = re.compile(rf"(?<![\w.,-])({_NUMBER}(?:\.\d+)?)(?![.,]?\d|\w)", re.ASCII)
# "85/100", "85 out of 100" and "from 0 to 100" name the scale, which is no score.
_SCALE = re.compile(r"(?<=[\d*])\s*(?:/|out of)\s*100\b|\b0\s*(?:to|-|–)\s*100\b", re.ASCII | re.IGNORECASE)
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LETTER = re.compile(r"\b([ABC])\b")
_MARKED = re.compile(r"\[\[([ABC])\]\]")


class NoVerdict(ValueError):
    """A judge's words have no verdict; the message is the reason, a few words."""


def score_of(words: str, *, cut: bool = False) -> float:
    """Return the score: the number that the words are, or else the last number from 0 to 100 in them.

    `cut`: the words end at the length limit, so only words that are a number alone count. Raises NoVerdict.
    """
    said = _THOUGHTS.sub("", words).strip()
    if cut and not _SCORE.fullmatch(said):
        raise NoVerdict(CUT)
    numbers = [float(found) for found in _SCORE.findall(_SCALE.sub(" ", said))]
    if not numbers or numbers[-1] > 100:
        raise NoVerdict(UNPARSABLE)
    return numbers[-1]


def letter_of(words: str, *, cut: bool = False) -> Letter:
    """Return the letter that the words are, or mark as [[A]], or the only one that they name; raises NoVerdict.

    Words that name several letters and mark none are no verdict: which one is meant would be a guess.
    """
    said = _THOUGHTS.sub("", words).strip()
    if cut and not _LETTER.fullmatch(said):
        raise NoVerdict(CUT)
    marked = _MARKED.findall(said)
    named = set(marked[-1:] or _LETTER.findall(said))
    for letter in ("A", "B", "C"):
        if named == {letter}:
            return letter
    raise NoVerdict(UNPARSABLE)
