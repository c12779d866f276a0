"""The table of scripts: which rules rest on spaces, how long an n-gram is, what ends a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.scripts import NEEDS_SPACES, language_of_script, sentence_ends, words_per_ngram


def test_rules_that_need_spaces_are_not_asked_of_scripts_without():
    for rule in NEEDS_SPACES:
        assert Analysis("words with blanks between them").asks(rule)
        assert Analysis("한국어는 띄어쓰기를 합니다").asks(rule)
        for text in ("机器学习是人工智能", "มนุษย์ทั้งหลาย", "機械学習とは", "မြန်မာဘာသာ", "ភាសាខ្មែរ"):
            assert not Analysis(text).asks(rule), text
    assert Analysis("").asks("gopher_quality.word_length")
    assert Analysis("mostly English words and one 词 in it").asks("gopher_quality.word_length")


@pytest.mark.parametrize(("text", "size"), [("机器学习", 2), ("すべて", 2), ("มนุษย์", 4), ("မြန်မာ", 5), ("ភាសា", 5)])
def test_characters_to_a_word(text, size):
    assert words_per_ngram(np.array([ord(character) for character in text], np.uint32)) == size


def test_scripts_with_one_language():
    assert language_of_script("ελληνικά") == ("el", 1.0)
    assert language_of_script("漢字とかなの文") == ("ja", 1.0)
    for text in ("latin", "кириллица", "中文", "العربية", "123"):
        assert language_of_script(text) is None


def test_marks_that_end_sentences():
    assert {".", "!", "?", "。", "！", "।", "۔", "።"} <= sentence_ends()
    assert not {",", ";", "、", "-", "a"} & sentence_ends()
