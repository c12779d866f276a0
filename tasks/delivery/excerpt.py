"""The part of a text that a question is about, where a model's context has no room for the whole text."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable

_WORD = re.compile(r"\w+")
_NAME = re.compile(r"\w+(?:\.\w+)+")
_DEFINED = 2.0
"""How many times more a word weighs with which a line begins, as what is explained stands before its explanation."""


def excerpt(text: str, question: str, fits: Callable[[str], bool]) -> str | None:
    """Return the lines of `text` that fit the question best, without their common indent; None if it names none.

    The line that says most of the question's rare words begins the excerpt, above all one that begins with them. It
    goes on while there is room, and ends with what is indented below that line: the entry of a documentation, for one.
    `fits` says whether a text has room; it is asked about more and more lines.
    """
    lines = text.splitlines()
    start = _best(lines, _asked(question))
    if start is None:
        return None
    chosen, inside = [lines[start]], False
    for line in lines[start + 1 :]:
        if line.strip():
            deeper = _indent(line) > _indent(lines[start])
            if inside and not deeper:
                break
            inside |= deeper
        if not fits(_whole([*chosen, line])):
            break
        chosen.append(line)
    return _whole(chosen)


def _asked(question: str) -> set[str]:
    """Return the words to look for: the last parts of joined names (`textwrap.dedent`), or all words if it has none."""
    names = _NAME.findall(question)
    return _words(" ".join(name.rpartition(".")[2] for name in names) if names else question)


def _best(lines: list[str], asked: set[str]) -> int | None:
    """Return the number of the line that says most of the asked words, rare ones above all; of equals the first."""
    told = [_WORD.findall(line.casefold()) for line in lines]
    known = Counter(word for words in told for word in asked.intersection(words))
    best, place = 0.0, None
    for number, words in enumerate(told):
        score = sum(
            math.log(1 + len(lines) / known[word]) * (_DEFINED if word == words[0] else 1.0)
            for word in asked.intersection(words)
        )
        if score > best:
            best, place = score, number
    return place


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _whole(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)).strip()
