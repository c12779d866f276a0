"""The terms of a text by which it is found: its folded words, their parts, and runs of characters without spaces.

A word is `units.words`; one with joints ("textwrap.dedent", "read_csv", "don't") is also found by each of its parts.
In scripts without spaces (Chinese, Japanese, Thai, …) each character is a word, which says little alone: the two and
three characters that begin with it are terms too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from data_lake.text.folding import code_points, fold
from data_lake.text.units import SINGLE, character_classes, word_spans

if TYPE_CHECKING:
    import regex

LONGEST_RUN = 3
"""Characters of the longest run: most words of Chinese and Japanese have two, and Thai's letters say less each."""


def terms(text: str) -> list[str]:
    """Return the terms of a text, as often as they occur, in the order of their beginnings."""
    return [term for word, others in with_terms(text) for term in (word, *others)]


def distinct(text: str) -> list[str]:
    """Return what a passage about this text should have, each term once: words, parts of joined ones, pairs in runs."""
    found: dict[str, None] = {}
    for word, others in with_terms(text):
        is_run = bool(others) and others[0].startswith(word)
        found.update(dict.fromkeys(others[:1] if is_run else others or [word]))
    return list(found)


def with_terms(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each folded word, with its parts if it has joints, and with the longer runs if it is a single character."""
    folded = fold(text)
    begins, ends_of = word_spans(folded)
    single = (character_classes()[code_points(folded)[begins]] == SINGLE).tolist()
    starts, ends = begins.tolist(), ends_of.tolist()
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        word = folded[start:end]
        if not single[number]:
            yield word, _parts(word)
            continue
        runs = []
        for last in range(number + 1, min(number + LONGEST_RUN, len(starts))):
            if not single[last] or starts[last] != ends[last - 1]:
                break
            runs.append(folded[start : ends[last]])
        yield word, runs


def _parts(word: str) -> list[str]:
    if word.isalnum():
        return []
    parts = [part for part in _joints().split(word) if part]
    return [] if parts == [word] else parts


@functools.cache
def _joints() -> regex.Pattern[str]:
    import regex

    return regex.compile(r"[^\p{L}\p{M}\p{N}]+")
