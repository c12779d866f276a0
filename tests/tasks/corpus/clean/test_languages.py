"""Language identification: short texts, scripts with one language, mixed and hostile texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.languages import UNKNOWN, identify


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The people of this country speak English, as many others do.", "en"),
        ("Alle Menschen sind frei und gleich an Würde und Rechten geboren.", "de"),
        ("人人生而自由，在尊严和权利上一律平等。", "zh"),
        ("すべての人間は、生まれながらにして自由である。", "ja"),
        ("สวัสดี", "th"),
        ("안녕", "ko"),
        ("გამარჯობა", "ka"),
        ("ꀕꇖꏂꃅ", "ii"),
    ],
)
def test_languages(text, code):
    found = identify(text)
    assert found.code == code
    assert found.score > 0.5


@pytest.mark.parametrize("text", ["", " \n", "12345 67890", "xkcd qwrtz", "!!! ??? ..."])
def test_nothing_is_guessed(text):
    assert identify(text) == UNKNOWN


def test_control_characters_and_surrogates_do_not_hide_the_language():
    english = "This page is written in English, and everybody who reads English can read it."
    assert identify(f"\x01{english}\ud800\ufdd0").code == "en"


def test_a_long_text_is_sampled_evenly():
    german, english = "Das ist ein Satz auf Deutsch. ", "This is a sentence in English. "
    found = identify(german * 20_000 + english * 20_000)
    assert {code for code, _ in found.shares} == {"de", "en"}
    assert 0.3 < found.score < 0.7


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(st.characters(codec=None), max_size=200))
def test_no_text_brings_it_down(text):
    found = identify(text)
    assert 0 <= found.score <= 1
    assert (found.code is None) == (found == UNKNOWN)
