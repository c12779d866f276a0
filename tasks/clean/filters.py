"""Quality filters: each has a name, a measured value and a published threshold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.clean.config import FilterConfig

_BULLET = re.compile(r"[ \t]*[-*•‣●▪◦·–—►]")
_ELLIPSIS = ("...", "…")
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ue000-\uf8ff]")  # controls, U+FFFD, private use


@dataclass(frozen=True)
class Verdict:
    """Why a document is removed: the filter's name, what it measured, and the limit that was crossed."""

    reason: str
    value: float
    threshold: float
    detail: str | None = None


def judge(text: str, title: str, config: FilterConfig) -> Verdict | None:
    """Return the first filter that removes the document, or None where it is kept."""
    return next(_violations(text, title, config), None)


def _violations(text: str, title: str, config: FilterConfig) -> Iterator[Verdict]:
    for pattern in config.error_titles:
        if re.search(pattern, title):
            yield Verdict("error_page", 1.0, 0.0, f"title {title[:80]!r} matches {pattern}")
    yield from _above("not_text", len(_NO_TEXT.findall(text)) / max(1, len(text)), config.max_unprintable)
    yield from _word_rules(text, config)
    yield from _line_rules(text, config)


def _word_rules(text: str, config: FilterConfig) -> Iterator[Verdict]:
    import numpy as np

    from data_lake.text_units import LETTER, SINGLE, character_classes, word_spans

    starts, ends = word_spans(text)
    count = len(starts)
    yield from _below("too_short", count, config.min_words)
    yield from _above("too_long", count, config.max_words)
    if count == 0:
        return
    classes = character_classes()[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)]
    letters = np.concatenate([[0], np.cumsum((classes == LETTER) | (classes == SINGLE))])
    single = float((classes[starts] == SINGLE).mean())
    if single < 0.5:  # where a character is a word, the length of words says nothing
        length = float((ends - starts).mean())
        yield from _below("short_words", length, config.min_word_length)
        yield from _above("long_words", length, config.max_word_length)
    yield from _below("few_letters", float((letters[ends] > letters[starts]).mean()), config.min_letter_words)
    yield from _above("symbols", text.count("#") / count, config.max_symbol_ratio)
    ellipses = sum(text.count(mark) for mark in _ELLIPSIS)
    yield from _above("symbols", ellipses / count, config.max_symbol_ratio)


def _line_rules(text: str, config: FilterConfig) -> Iterator[Verdict]:
    lines = [stripped for line in text.split("\n") if (stripped := line.strip())]
    if not lines:
        return
    bullets = sum(1 for line in lines if _BULLET.match(line))
    yield from _above("bullet_lines", bullets / len(lines), config.max_bullet_lines)
    ellipses = sum(1 for line in lines if line.endswith(_ELLIPSIS))
    yield from _above("ellipsis_lines", ellipses / len(lines), config.max_ellipsis_lines)
    share, characters = _repetition(lines)
    yield from _above("repeated_lines", share, config.max_repeated_lines)
    yield from _above("repeated_line_characters", characters, config.max_repeated_line_characters)
    paragraphs = [stripped for paragraph in text.split("\n\n") if (stripped := paragraph.strip())]
    yield from _above("repeated_paragraphs", _repetition(paragraphs)[0], config.max_repeated_paragraphs)


def _repetition(pieces: list[str]) -> tuple[float, float]:
    """Return which share of the pieces, and of their characters, appeared before in the same document."""
    counts = Counter(pieces)
    again = sum((number - 1) * len(piece) for piece, number in counts.items())
    return 1 - len(counts) / len(pieces), again / max(1, sum(map(len, pieces)))


def _above(reason: str, value: float, limit: float) -> Iterator[Verdict]:
    if value > limit:
        yield Verdict(reason, float(value), float(limit))


def _below(reason: str, value: float, limit: float) -> Iterator[Verdict]:
    if value < limit:
        yield Verdict(reason, float(value), float(limit))
