"""Text repair: known cases, and properties that hold for any text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clean.config import CleanConfig
from tasks.clean.normalize import normalize
from tasks.clean.text_config import NormalizeConfig

PLAIN = CleanConfig(normalize=NormalizeConfig(repair=False))
REPAIR = CleanConfig()

any_text = st.text(st.characters(codec=None), max_size=80) | st.text(
    "a \t\n\r\x0b\x85\u00a0\u200b\u2028\ufeff\x00é", max_size=40
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\u00a0b\u2003c", "a b c"),
        ("soft\u00adhyphen and\u200bzero", "softhyphen andzero"),
        ("  indented\n    more  \nend", "  indented\n    more\nend"),
        ("one\n\n\n\ntwo", "one\n\ntwo"),
        ("\n\n  code\n", "  code"),
        ("cell \t\t cell\n\tcode", "cell\tcell\n\tcode"),
        ("e\u0301", "é"),
        ("bell\x07 null\x00", "bell null"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_whitespace_and_characters(text, expected):
    assert normalize(text, PLAIN) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schÃ¶n", "schön"),
        ("The Mona Lisa doesnâ€™t have eyebrows.", "The Mona Lisa doesn’t have eyebrows."),
        ("<p> stays &lt;p&gt;", "<p> stays &lt;p&gt;"),
        ("“quoted” ﬁt Ｆｕｌｌ", "“quoted” ﬁt Ｆｕｌｌ"),
        ("plain\nschÃ¶n", "plain\nschön"),
    ],
)
def test_mojibake_is_undone_and_nothing_else(text, expected):
    assert normalize(text, REPAIR) == expected


def test_replacements_come_in_order():
    config = CleanConfig(replace=(("0x[0-9a-f]+", "0x…"), ("0x…>", "somewhere>")))
    assert normalize("<object at 0x7f12ab>", config) == "<object at somewhere>"


@given(any_text)
def test_normal_text_stays_as_it_is(text):
    once = normalize(text, PLAIN)
    assert normalize(once, PLAIN) == once


@given(any_text)
@settings(max_examples=50)
def test_the_result_is_clean_whatever_comes_in(text):
    clean = normalize(text, REPAIR)
    clean.encode("utf-8")
    assert unicodedata.is_normalized("NFC", clean)
    assert "\r" not in clean
    assert "\n\n\n" not in clean
    assert not clean.startswith("\n")
    assert not clean.endswith("\n")
    assert all(line == line.rstrip(" \t") for line in clean.split("\n"))
    assert all(unicodedata.category(character) != "Cc" for character in clean if character not in "\n\t")
