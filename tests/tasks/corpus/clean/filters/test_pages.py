"""Filters on what a page is: length, language, binary data."""

from __future__ import annotations

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import LanguageConfig, LengthConfig, NotTextConfig
from tasks.corpus.clean.filters.pages import Language, Length, NotText

ENGLISH = "This page is written in English, and everybody who reads English can read what it says. " * 3
GERMAN = "Diese Seite ist auf Deutsch geschrieben, und wer Deutsch liest, kann lesen, was auf ihr steht. " * 3


def test_length():
    config = LengthConfig(min_characters=2, max_characters=4)
    assert [v.detail for text in ("a", "abc", "abcde") for v in Length(config).violations(Analysis(text))] == [
        "min_characters",
        "max_characters",
    ]


def test_language_and_its_share():
    english = Language(LanguageConfig(allowed=("en",)))
    assert list(english.violations(Analysis(ENGLISH))) == []
    removal = next(english.violations(Analysis(GERMAN)))
    assert (removal.reason, removal.value, removal.threshold) == ("language", 0, 0.65)
    assert removal.detail is not None
    assert "de found" in removal.detail
    mixed = Analysis(ENGLISH + "\n\n" + GERMAN)
    assert 0.4 < next(english.violations(mixed)).value < 0.6
    assert list(Language(LanguageConfig(allowed=("de", "en"))).violations(mixed)) == []
    assert list(Language(LanguageConfig()).violations(Analysis(GERMAN))) == []


def test_not_text():
    limit = NotText(NotTextConfig())
    assert list(limit.violations(Analysis("中文 and text\twith\nlines"))) == []
    assert next(limit.violations(Analysis("abc\ufffd\x00\ue000"))).value == 0.5
