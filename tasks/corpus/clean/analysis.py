"""One analysis of a text, shared by all filters: its lines, its words and its language, each found once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tasks.corpus.clean.languages import Identified, identify
from tasks.corpus.clean.scripts import NEEDS_SPACES, NO_SENTENCE_MARKS

if TYPE_CHECKING:
    from data_lake.text.units import WordTable


class Analysis:
    """A page's text and what is known about it. Each property is computed when a filter first asks for it."""

    def __init__(self, text: str, *, title: str = "", url: str | None = None) -> None:
        self.text, self.title, self.url = text, title, url

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank, without leading and trailing whitespace."""
        return [stripped for line in self.text.split("\n") if (stripped := line.strip())]

    @cached_property
    def words(self) -> WordTable:
        """The words of data_lake.text.units: the begin, end and hash of each, and whether it has a letter."""
        from data_lake.text.units import word_table

        return word_table(self.text)

    @cached_property
    def word_lengths(self) -> np.ndarray:
        """Characters of each word: int64[n_words]."""
        return self.words.ends - self.words.starts

    @cached_property
    def language(self) -> Identified:
        """The main language, its share of the text, and the other languages in it."""
        return identify(self.text)

    @cached_property
    def spaced(self) -> bool:
        """Whether the text is in a script with spaces between words: less than half of its words are one character."""
        single = self.words.single
        return not len(single) or float(single.mean()) < 0.5

    def asks(self, rule: str) -> bool:
        """Whether a rule ("filter.rule") applies to the script of this text (tasks.corpus.clean.scripts)."""
        return self.spaced or rule not in NEEDS_SPACES

    @property
    def marks_sentences(self) -> bool:
        """Whether sentences of this language end in a mark."""
        return self.language.code not in NO_SENTENCE_MARKS
