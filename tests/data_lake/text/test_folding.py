"""One folding: what is typed in another way is the same, and each folded character leads back to where it came from."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text.folding import fold, fold_with_places
from data_lake.text.units import word_hashes, word_spans, words

# Neighbours that fold to several characters or none, compose, or stand in the wrong order.
HARD = "aZ1'’‘ʼ“”–‐-. \n\tßŞİıǅﬃﬁ½…™²ªﾞｶ中ภำน้Å\u0301\u0323\u0300\u05bf\u0591\u0345ᾳᾴ\u034f\u200b\u200d\u00ad\ufeff"
HARD += "か\u3099한\u1100\u1161\u11a8ㅋㅏ\U0001d15e\u0344\u09c7\u09be\ufdfa㌖\u3164ﬡ״׳\U0001f130e\u0308"
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(HARD)), max_size=40)


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("ASCII stays", "ascii stays"),
        ("It’s the miller‘s, isnʼt it? Don´t", "it's the miller's, isn't it? don't"),
        ("“So” „so“ «so»", '"so" "so" "so"'),
        ("1914–1918 — well‐known non‑breaking −5", "1914-1918 - well-known non-breaking -5"),
        ("Cafe\u0301 Mu\u0308ller STRASSE Straße ÉCOLE", "café müller strasse strasse école"),
        ("ﬁne ﬂour, Ｆｕｌｌ　Ｗｉｄｔｈ １２．５", "fine flour, full width 12.5"),
        ("buck\u00adets half\u200bway \u2060mill\ufeff \u202bright\u202c", "buckets halfway mill right"),
        ("½ № 20℃ ㎏ x²", "1/2 no 20°c kg x2"),
        ("ｶﾞｷﾞ が か\u3099", "ガギ が が"),
        ("น้ำ", "น้\u0e4d\u0e32"),
        ("한국 \u1112\u1161\u11ab", "한국 한"),
        ("צה״ל צה\"ל ג׳", "צה\"ל צה\"ל ג'"),
        ("می\u200cخواهم", "میخواهم"),
        ("水车…转动", "水车...转动"),
    ],
)  # fmt: skip
def test_the_same_however_it_was_typed(typed: str, plain: str) -> None:
    assert fold(typed) == plain
    assert words(fold(typed)) == words(plain)


def test_case_may_stay() -> None:
    assert fold("Müller’s Straße İ ASCII", case=False) == "Müller's Straße İ ASCII"


@pytest.mark.parametrize("case", [True, False])
@settings(max_examples=300, deadline=None)
@given(text=TEXT)
def test_folding_twice_changes_nothing_more(case: bool, text: str) -> None:
    once = fold(text, case=case)
    assert fold(once, case=case) == once


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@settings(max_examples=200, deadline=None)
@given(text=TEXT.map(lambda text: text.replace("\u00b4", "").replace("\u1ffd", "")))
def test_all_normal_forms_are_the_same(form: str, text: str) -> None:
    """(But for ´ alone, which Unicode's compatibility forms make a space and an accent, and people an apostrophe.)"""
    for case in (True, False):
        assert fold(unicodedata.normalize(form, text), case=case) == fold(text, case=case)  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_case_does_not_matter(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text).casefold()) == fold(text)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_every_character_leads_back_to_where_it_came_from(text: str) -> None:
    """A piece of the original from one place to another folds to what stands between them in the folded text."""
    for case in (True, False):
        folded = fold_with_places(text, case=case)
        assert folded.text == fold(text, case=case)
        starts, ends = folded.starts.tolist(), folded.ends.tolist()
        assert len(starts) == len(ends) == len(folded.text)
        assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))
        assert starts == sorted(starts)
        assert ends == sorted(ends)
        for k in range(len(starts)):
            if k == 0 or starts[k] >= ends[k - 1]:  # no character of the original stands on both sides
                assert fold(text[: starts[k]], case=case) == folded.text[:k]
                assert fold(text[starts[k] :], case=case) == folded.text[k:]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_a_word_found_in_the_folded_text_is_cut_out_of_the_original(text: str) -> None:
    folded = fold_with_places(text)
    for begin, end in zip(*(each.tolist() for each in word_spans(folded.text)), strict=True):
        piece = text[folded.starts[begin] : folded.ends[end - 1]]
        assert folded.text[begin:end] in fold(piece)


def test_places_of_long_texts() -> None:
    text = "Der Müller’s «Fluß» ﬂießt Mu\u0308ller\u00ad " * 3000
    folded = fold_with_places(text)
    at = folded.text.rindex("müller")
    assert text[folded.starts[at] : folded.ends[at + 5]] == "Mu\u0308ller"
    assert folded.text == fold("Der Müller’s «Fluß» ﬂießt Mu\u0308ller\u00ad ") * 3000


def by_definition(text: str, case: bool) -> str:
    """Taken apart, folded character by character, composed."""
    apart = unicodedata.normalize("NFKD", text.replace("\u00b4", "'").replace("\u1ffd", "'"))
    return unicodedata.normalize("NFC", "".join(fold(character, case=case) for character in apart))


@settings(max_examples=400, deadline=None)
@given(TEXT)
def test_the_table_says_what_the_definition_does(text: str) -> None:
    for case in (True, False):
        assert fold(text, case=case) == by_definition(text, case)


def test_every_character_that_folds_is_folded_alone_as_among_others() -> None:
    blocks = ["".join(map(chr, range(first, first + 256))) for first in range(0, sys.maxunicode, 256)]
    for block in blocks:
        if "\ud800" <= block[0] <= "\udfff":
            continue
        for case in (True, False):
            if fold(block, case=case) == block == unicodedata.normalize("NFKD", block):
                continue
            alone = [by_definition(character, case) for character in block]
            assert fold(" x ".join(block), case=case) == " x ".join(alone)
            assert fold("".join(dict.fromkeys(alone)), case=case) == by_definition("".join(dict.fromkeys(alone)), case)


def test_half_a_surrogate_pair_is_kept() -> None:
    assert fold("Mill\ud800’s") == "mill\ud800's"


def test_words_with_other_apostrophes_have_one_hash() -> None:
    hashes, _ = word_hashes([fold("don't don’t don´t donʼt don＇t don\u00ad't")])
    assert len(hashes) == 6
    assert len(set(hashes.tolist())) == 1
