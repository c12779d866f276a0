"""Word lists: whole words in any script, whatever their case, found and replaced."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text.units import words
from tasks.corpus.clean.word_lists import WordList


@pytest.mark.parametrize(
    ("entries", "text", "expected"),
    [
        (["acme"], "ACME! and Acme, not acmeist", "#! and #, not acmeist"),
        (["Project X", "x"], "project-x and x and projectx", "# and # and projectx"),
        (["張三"], "我認識張三和李四", "我認識#和李四"),
        (["สมชาย"], "คุณสมชายมาแล้ว", "คุณ#มาแล้ว"),
        (["straße"], "Die STRASSE und die Straße", "Die # und die #"),
        (["café"], "Cafe\u0301 und CAFÉ", "# und #"),
        (["a b", "b c"], "a b c", "# c"),
        (["a b c", "a b"], "a b c a b", "# #"),
        ([], "nothing", "nothing"),
        (["", "!?"], "nothing !?", "nothing !?"),
    ],
)
def test_replacement(entries, text, expected):
    assert WordList(entries).replace(text, "#")[0] == expected


def test_find_counts_and_names_the_first():
    assert WordList(["b", "a c"]).find("x a c b B") == (3, "a c")
    assert WordList(["b"]).find("abc") == (0, "")
    assert not WordList(["...", ""])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "c", "字", "B", "é"]), max_size=30),
    st.sets(st.sampled_from(["a", "b c", "字字", "é"])),
)
def test_what_is_found_is_replaced_and_the_rest_stays(pieces, entries):
    text = " ".join(pieces)
    entries = WordList(entries)
    count, _ = entries.find(text)
    replaced, number = entries.replace(text, "\x00")
    assert (number > 0) == (count > 0)
    assert number <= count
    assert replaced.count("\x00") == number
    assert len(words(replaced)) <= len(words(text))
    if not count:
        assert replaced == text


def test_a_word_is_found_and_replaced_however_it_was_typed() -> None:
    found = WordList(["don't", "fine mill", "müller"])
    text = "Mu\u0308ller, don’t! A ﬁne\u00a0mi\u00adll… isn’t"
    assert found.find(text)[0] == 3
    assert found.replace(text, "*") == ("*, *! A *… isn’t", 3)
