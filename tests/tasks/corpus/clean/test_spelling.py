"""Spelling correction: what is corrected, what is left alone, and what the errors say."""

from __future__ import annotations

import pytest

from tasks.corpus.clean.spelling import Speller
from tasks.stage import PermanentError


def test_known_mistakes_are_corrected_and_names_and_code_are_not():
    pytest.importorskip("spellchecker")
    text = "A sentense with erors, NumPy, Guido, read_csv, xyzzyqqw and https://exampel.org."
    corrected, changed = Speller("en").correct(text)
    assert corrected.startswith("A sentence with errors, NumPy, Guido, read_csv, xyzzyqqw and")
    assert changed >= 2
    assert Speller("en").correct(text) == (corrected, changed)


def test_a_language_without_a_dictionary_is_told():
    pytest.importorskip("spellchecker")
    with pytest.raises(PermanentError, match="'zz', which pyspellchecker has no dictionary for; it has ar, de, en"):
        Speller("zz")
