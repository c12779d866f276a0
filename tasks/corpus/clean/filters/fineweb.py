"""FineWeb's own filters: punctuated lines, short lines, repeated lines, line breaks (arXiv:2406.17557, § 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import FineWebConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.filters.gopher import repetition
from tasks.corpus.clean.scripts import sentence_ends


class FineWeb(Filter):
    """FineWeb's heuristic filters: Penedo et al. 2024, arXiv:2406.17557, § 3.6 and appendix."""

    name: ClassVar[str] = "fineweb"
    config: FineWebConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check shares of lines by their end and length, of repeated characters, and line breaks per word."""
        config, lines = self.config, page.lines
        if not lines:
            return
        if page.marks_sentences:
            ends = sentence_ends()
            punctuated = sum(line[-1] in ends for line in lines) / len(lines)
            yield from self.below("min_punctuated_lines", punctuated, config.min_punctuated_lines)
        if page.asks("fineweb.short_lines"):
            short = sum(len(line) <= config.short_line for line in lines) / len(lines)
            yield from self.above("max_short_lines", short, config.max_short_lines)
        again = repetition(lines)[1]
        characters = len(page.text) - page.text.count("\n")
        yield from self.above("max_repeated_characters", again / characters, config.max_repeated_characters)
        if page.asks("fineweb.newlines_per_word") and (count := len(page.words.starts)):
            # FineWeb's texts separate paragraphs by one line break, ours by a blank line, so lines are counted
            breaks = (len(lines) - 1) / count
            yield from self.above("max_newlines_per_word", breaks, config.max_newlines_per_word)
