"""Spelling correction of documents in one language, with pyspellchecker's word frequencies; off by default.

Only lower-case words that the dictionary does not contain are corrected, and only if a known word is one edit away
(Norvig 2007, "How to write a spelling corrector"): words with capitals may be names, and words with digits or
underscores may be code.
"""

from __future__ import annotations

import functools
from typing import Any

from tasks.stage import PermanentError

_SHORTEST, _LONGEST = 4, 24  # letters: shorter words have too many neighbours, longer ones cost too much time


class Speller:
    """Corrects the words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._correct = _corrections(language)

    def correct(self, text: str) -> tuple[str, int]:
        """Return the text corrected, and how many words were changed."""
        from data_lake.text.units import word_spans

        out: list[str] = []
        position = changed = 0
        starts, ends = word_spans(text)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            word = text[start:end]
            if _SHORTEST <= end - start <= _LONGEST and word.isalpha() and word.islower():
                right = self._correct(word)
                if right != word:
                    out += [text[position:start], right]
                    position = end
                    changed += 1
        return "".join([*out, text[position:]]), changed


@functools.cache
def _corrections(language: str) -> Any:
    try:
        from spellchecker import SpellChecker
    except ImportError as error:
        raise PermanentError(
            "clean.normalize.spelling needs the package pyspellchecker: pip install 'textmill[spelling]'."
        ) from error
    try:
        checker = SpellChecker(language=language, distance=1)
    except ValueError as error:
        raise PermanentError(
            f"clean.normalize.spelling is {language!r}, which pyspellchecker has no dictionary for; it has "
            f"{', '.join(sorted(SpellChecker.languages()))}."
        ) from error

    @functools.lru_cache(maxsize=200_000)
    def correct(word: str) -> str:
        if word in checker:
            return word
        # among equally frequent words the first in the alphabet; the library's own choice depends on set order
        candidates = sorted(checker.candidates(word) or {word})
        return max(candidates, key=lambda candidate: checker.word_usage_frequency(candidate))

    return correct
