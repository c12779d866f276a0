"""Gopher's filters: the quality rules of § A.1.1 and the limits on repetition of table A1 (arXiv:2112.11446).

The values equal those of datatrove's implementation on the same words; a parity test checks this. The words are
textmill's (data_lake.text.units), which do not include punctuation.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import GopherQualityConfig, GopherRepetitionConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.scripts import STOP_WORDS, WORD_LENGTH_DIFFERS, words_per_ngram

_BULLETS = ("•", "‣", "●", "▪", "◦", "·", "►", "-", "–", "—", "*")
_ELLIPSES = ("...", "…")
_PARAGRAPH = re.compile(r"\n{2,}")


class GopherQuality(Filter):
    """Gopher's quality rules: Rae et al. 2021, arXiv:2112.11446, § A.1.1."""

    name: ClassVar[str] = "gopher_quality"
    config: GopherQualityConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check number and length of words, symbols, bullets, ellipses, words with a letter, stop words."""
        config, words = self.config, page.words
        count = len(words.starts)
        yield from self.below("min_words", count, config.min_words)
        yield from self.above("max_words", count, config.max_words)
        if not count:
            return
        if page.asks("gopher_quality.word_length") and page.language.code not in WORD_LENGTH_DIFFERS:
            length = float(page.word_lengths.mean())
            yield from self.below("min_word_length", length, config.min_word_length)
            yield from self.above("max_word_length", length, config.max_word_length)
        yield from self.above("max_symbol_ratio: #", page.text.count("#") / count, config.max_symbol_ratio)
        ellipses = sum(page.text.count(mark) for mark in _ELLIPSES)
        yield from self.above("max_symbol_ratio: …", ellipses / count, config.max_symbol_ratio)
        if lines := page.lines:
            bullets = sum(line.startswith(_BULLETS) for line in lines)
            yield from self.above("max_bullet_lines", bullets / len(lines), config.max_bullet_lines)
            ending = sum(line.endswith(_ELLIPSES) for line in lines)
            yield from self.above("max_ellipsis_lines", ending / len(lines), config.max_ellipsis_lines)
        yield from self.below("min_letter_words", float(words.letters.mean()), config.min_letter_words)
        if config.min_stop_words and (stop_words := _stop_word_hashes().get(page.language.code or "")) is not None:
            found = int((words.hashes == stop_words[:, None]).any(axis=1).sum())
            yield from self.below("min_stop_words", found, config.min_stop_words)


class GopherRepetition(Filter):
    """Gopher's limits on repetition: Rae et al. 2021, arXiv:2112.11446, table A1."""

    name: ClassVar[str] = "gopher_repetition"
    config: GopherRepetitionConfig

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check repeated lines, paragraphs and n-grams, as shares of their number and of all characters."""
        config, text = self.config, page.text
        if not text:
            return
        size = len(text)
        paragraphs = _PARAGRAPH.split(text.strip()) if "\n\n" in text else [text]
        again, characters = repetition(paragraphs)
        yield from self.above("max_paragraphs", again / len(paragraphs), config.max_paragraphs)
        yield from self.above("max_paragraph_characters", characters / size, config.max_paragraph_characters)
        lines = [line for line in text.split("\n") if line] or [text]
        again, characters = repetition(lines)
        yield from self.above("max_lines", again / len(lines), config.max_lines)
        yield from self.above("max_line_characters", characters / size, config.max_line_characters)
        words = page.words
        if not len(words.starts) or not (config.top_ngrams or config.repeated_ngrams):
            return
        units, blanks = 1, 1
        if not page.spaced:  # an n-gram is n real words, each of which is several single-character words here
            firsts = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")[words.starts]
            units, blanks = words_per_ngram(firsts), 0
        kernel, lengths = _kernel(), page.word_lengths
        for n, limit in config.top_ngrams:
            taken = kernel(words.hashes, lengths, n * units, blanks, True)
            yield from self.above(f"top_ngrams: {n}", taken / size, limit)
        for n, limit in config.repeated_ngrams:
            taken = kernel(words.hashes, lengths, n * units, blanks, False)
            yield from self.above(f"repeated_ngrams: {n}", taken / size, limit)


def repetition(pieces: list[str]) -> tuple[int, int]:
    """Return how many of the pieces, and how many characters in them, appeared before."""
    seen: set[str] = set()
    again = characters = 0
    for piece in pieces:
        if piece in seen:
            again += 1
            characters += len(piece)
        else:
            seen.add(piece)
    return again, characters


@functools.cache
def _stop_word_hashes() -> dict[str, np.ndarray]:
    from data_lake.text.units import word_hashes

    return {language: word_hashes(words)[0] for language, words in STOP_WORDS.items()}


@functools.cache
def _kernel() -> Callable[..., Any]:
    """Return the compiled function (hashes, lengths, n, blanks, top) -> number of characters covered by n-grams.

    If top: by the most frequent n-gram (of equally frequent ones, the first), counting `blanks` spaces between its
    words. Otherwise: by all n-grams that occurred before; after such an n-gram, counting resumes at its end, so that no
    character counts twice.
    """
    from data_lake.text.compiled import compiled

    @compiled
    def taken(hashes, lengths, n, blanks, top):  # type: ignore[no-untyped-def]
        count = len(hashes) - n + 1
        if count < 1 or (top and count < 1):
            return 0
        size = 16
        while size < 2 * count:
            size *= 2
        mask = np.uint64(size - 1)
        keys = np.zeros(size, np.uint64)
        number = np.zeros(size, np.int32)
        first = np.zeros(size, np.int32)
        best = 0
        best_first = 0
        characters = 0
        i = 0
        while i < count:
            key = np.uint64(0)
            for k in range(n):
                key = key * np.uint64(0xD1342543DE82EF95) + hashes[i + k]
            key ^= key >> np.uint64(29)
            key *= np.uint64(0xC4CEB9FE1A85EC53)
            key ^= key >> np.uint64(32)
            place = key & mask
            while number[place] and keys[place] != key:
                place = (place + np.uint64(1)) & mask
            if not number[place]:
                keys[place] = key
                first[place] = i
            number[place] += 1
            if top:
                if number[place] > best or (number[place] == best and first[place] < best_first):
                    best = number[place]
                    best_first = first[place]
                i += 1
            elif number[place] > 1:
                for k in range(n):
                    characters += lengths[i + k]
                i += n
            else:
                i += 1
        if top:
            for k in range(n):
                characters += lengths[best_first + k]
            characters = (characters + blanks * (n - 1)) * best
        return characters

    return taken
