"""Words by Unicode's rules: known cases, every script, and the same words whichever way they are asked for."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.text import units
from data_lake.text.units import count_words, shingle_hashes, word_hashes, word_spans, words

ANY_TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("ab'’.:,;1_2 \n中ภค\u0301\u200d\u00adカ한а\U0001f600²é-ー")), max_size=60
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("don't stop", ["don't", "stop"]),
        ("'quoted' words’ end", ["quoted", "words", "end"]),
        ("1,234.5 and 3.14.", ["1,234.5", "and", "3.14"]),
        ("a,b 1:2", ["a", "b", "1", "2"]),
        ("read_csv(__init__, ___)", ["read_csv", "__init__"]),
        ("cafe\u0301 caf\u00e9", ["cafe\u0301", "caf\u00e9"]),
        ("x86-64 utf8", ["x86", "64", "utf8"]),
        ("e.g. os.path", ["e.g", "os.path"]),
        ("\u0301a", ["a"]),
        ("½ x² №", ["½", "x", "²"]),
        ("👩\u200d🔬 🇫🇷!", []),
        ("Größe ΕΛΛΗΝΙΚΆ русский", ["Größe", "ΕΛΛΗΝΙΚΆ", "русский"]),
        ("العربية עברית हिन्दी", ["العربية", "עברית", "हिन्दी"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("中文text混合3个", ["中", "文", "text", "混", "合", "3", "个"]),
        ("カタカナとひらがな", list("カタカナとひらがな")),
        ("ภาษาไทย", ["ภ", "า", "ษ", "า", "ไ", "ท", "ย"]),
        ("ครับ", ["ค", "รั", "บ"]),  # the vowel sign above stays with its consonant
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert count_words(text) == len(expected)


@given(ANY_TEXT)
def test_spans_are_ordered_and_inside(text: str) -> None:
    starts, ends = word_spans(text)
    assert np.all(starts < ends)
    assert np.all(ends[:-1] <= starts[1:])
    assert not len(ends) or ends[-1] <= len(text)
    assert words(text) == [text[a:b] for a, b in zip(starts, ends, strict=True)]


@given(ANY_TEXT)
def test_no_letter_or_digit_is_lost(text: str) -> None:
    lost = "".join(text)
    for word in words(text):
        lost = lost.replace(word, "", 1)
    assert not [letter for letter in lost if unicodedata.category(letter) in {"Lu", "Ll", "Lo", "Nd"}]


@pytest.mark.shared
def test_every_language_of_the_declaration_of_human_rights(shared_data: Path) -> None:
    """387 translations: no letter outside a word, and nowhere a sentence taken for one."""
    folder = shared_data / "07_text" / "nltk__nltk_data" / "packages" / "corpora"
    with zipfile.ZipFile(folder / "udhr2.zip") as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")}
    assert len(texts) > 380
    for name, text in texts.items():
        found = words(text)
        inside = sum(map(len, found))
        letters = sum(unicodedata.category(letter)[0] in "LN" for letter in text)
        assert letters <= inside, name
        assert len(found) >= letters / 16, name
        assert max(map(len, found), default=0) < 100, name


@given(st.lists(ANY_TEXT, max_size=6))
def test_hashes_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    hashes, offsets = word_hashes(texts)
    assert len(offsets) == len(texts) + 1
    for i, text in enumerate(texts):
        alone, _ = word_hashes([text])
        assert np.array_equal(hashes[offsets[i] : offsets[i + 1]], alone)
        assert len(alone) == count_words(text)


@given(ANY_TEXT)
def test_hashes_are_equal_where_words_are(text: str) -> None:
    found = words(text)
    hashes = word_hashes([text])[0].tolist()
    assert len(set(zip(found, hashes, strict=True))) == len(set(found)) == len(set(hashes))


def test_hashes_do_not_depend_on_place_or_chunk() -> None:
    """Texts beyond one pass (2^16 characters), alone and together, and one that is larger than a pass."""
    texts = [f"word{i} mill river " * 700 for i in range(20)] + ["river " * 40_000, "", "mill"]
    hashes, offsets = word_hashes(texts)
    river, mill = word_hashes(["river mill"])[0].tolist()
    assert hashes[2] == river
    assert set(hashes[offsets[20] : offsets[21]].tolist()) == {river}
    assert offsets[21] - offsets[20] == 40_000
    assert offsets[22] == offsets[21]
    assert hashes[-1] == mill


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANY_TEXT, max_size=4))
def test_long_texts_are_cut_where_no_word_is(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    whole = [words(text) for text in texts], *word_hashes(texts)
    with monkeypatch.context() as patch:
        patch.setattr(units, "_CHUNK", 5)
        pieces = [words(text) for text in texts], *word_hashes(texts)
    assert whole[0] == pieces[0]
    assert np.array_equal(whole[1], pieces[1])
    assert np.array_equal(whole[2], pieces[2])


def test_endless_lines_cost_little() -> None:
    assert count_words("中" * 3_000_000) == 3_000_000
    assert count_words("a" * 3_000_000) == 3  # no word is a million letters long
    assert len(word_hashes(["a" * 3_000_000 + " b", "c"])[0]) == 5


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 7))
def test_shingles_are_the_runs_of_n_words(lengths: list[int], n: int) -> None:
    generator = np.random.default_rng(0)
    texts = [[f"w{generator.integers(5)}" for _ in range(length)] for length in lengths]
    shingles, offsets = shingle_hashes(*word_hashes([" ".join(text) for text in texts]), n)
    seen: dict[tuple[str, ...], int] = {}
    for i, text in enumerate(texts):
        expected = [tuple(text[k : k + n]) for k in range(max(1, len(text) - n + 1))] if text else []
        got = shingles[offsets[i] : offsets[i + 1]].tolist()
        assert len(got) == len(expected)
        for run, value in zip(expected, got, strict=True):
            assert seen.setdefault(run, value) == value
    assert len(set(seen.values())) == len(seen)
