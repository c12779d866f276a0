"""What a model reads beside a question: the passages found for it, as many as its context has room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from data_lake.text.units import count_words
from tasks.retrieval.index.passages import cut
from tasks.retrieval.index.search import Passage

BETWEEN = "\n\n"
NO_PAGE = "No page matches the question."
"""What is said in the place of an answer that would be made up."""


def given(passages: Sequence[Passage]) -> str:
    """Return the text that a question is about: the passages, the best one first."""
    return BETWEEN.join(one.text.strip() for one in passages)


def that_fit(passages: Sequence[Passage], fits: Callable[[str], bool]) -> list[Passage]:
    """Return the passages that fit together, in their order; of the best one its beginning, if it is too long alone.

    `fits` says whether a text has room beside the question and an answer. Nothing is returned if none fits.
    """
    kept: list[Passage] = []
    for one in passages:
        if not kept:
            kept = _beginning(one, fits)
        elif fits(given([*kept, one])):
            kept.append(one)
    return kept


def _beginning(passage: Passage, fits: Callable[[str], bool]) -> list[Passage]:
    """Return the passage, or as much of its beginning as fits, up to a break of the text; [] if not a word does."""
    shown, words = passage, count_words(passage.text)
    while not fits(given([shown])):
        words = words * 3 // 4
        if not words:
            return []
        _, end, _ = next(cut(passage.text, words, len(passage.text)))
        shown = replace(passage, end=passage.start + end, text=passage.text[:end])
    return [shown]


def room(context: int, max_tokens: int) -> int:
    """Return how many tokens a prompt with passages may have: at least a quarter of the context is for the answer,
    unless it is shorter."""
    return context - min(max_tokens, context // 4)
