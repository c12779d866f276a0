"""The compiled words are those of the definition, bit for bit, in every script and for bytes that are no text.

Also covers: data_lake/text/compiled.py
Also covers: data_lake/text/tables.py
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text import kernels, units
from data_lake.text.folding import fold
from tasks.corpus.dedup.shingles import normal_form

# Neighbours that fold to several characters, compose, stand in the wrong order, join words or are no characters.
HARD = "ab'’.:,;1_2 \n\tßŞİıǅﬃ中ภครับÅ\u0301\u0323\u0300\u05bf\u094d\u093c\u0915\u200d"
HARD += (
    "\u00adカーか\u3099한\u1100\u1161\u11a8\U0001f600\U00010400\U0001d15e²é-\u00a0\u3000\u2028\x1c\x85\u0345\u03b1ΣςꭰᎠ"
)
ANY_TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(HARD)), max_size=60)


def column(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def assert_same(texts: list[str]) -> None:
    hashes, offsets = kernels.word_hashes_of(column(texts))
    expected, expected_offsets = units.word_hashes([fold(text) for text in texts])
    assert np.array_equal(offsets, expected_offsets)
    assert np.array_equal(hashes, expected)
    data, begins, asked = kernels.spaced(column(texts))
    for i, text in enumerate(texts):
        if not asked[i]:
            assert data[begins[i] : begins[i + 1]].tobytes() == normal_form(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(ANY_TEXT, max_size=6))
def test_words_are_those_of_the_definition(texts: list[str]) -> None:
    assert_same(texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("ab1_.,:;'\" \n-", max_size=40), max_size=4))
def test_words_of_ascii(texts: list[str]) -> None:
    assert_same(texts)


def test_every_ascii_character_between_every_two_classes() -> None:
    classes = ["a", "Z", "7", "_", ":", ",", "'", ".", " ", "\x00", "\x1f", ""]
    assert_same([before + chr(point) + after for point in range(128) for before in classes for after in classes])


def test_every_character_alone_and_between_letters() -> None:
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    blocks = ["\n".join(characters[i : i + 512]) for i in range(0, len(characters), 512)]
    assert_same(blocks)
    assert_same([f"a{character}b" for character in characters[::7]])


def test_every_pair_of_a_base_and_a_mark_composes_as_in_python() -> None:
    marks = [chr(point) for point in range(0x300, 0x370)]
    assert_same([base + mark for base in "aAeEßıΑα" for mark in marks])
    assert_same([first + second for first in marks[::5] for second in marks[::3]])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=12))
def test_bytes_that_are_no_utf8(raw: bytes, tail: bytes) -> None:
    """Fuzz: a column whose file lied about its encoding counts as Python's decoding with replacement would read it."""
    pieces = [raw, b"word " + raw + b" \xe4\xb8", raw + "中é".encode() + tail]
    offsets = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
    lying = pa.LargeStringArray.from_buffers(3, pa.py_buffer(offsets), pa.py_buffer(b"".join(pieces)))
    hashes, begins = kernels.word_hashes_of(lying)
    texts = [fold(piece.decode("utf-8", "replace")) for piece in pieces]
    expected, expected_begins = units.word_hashes(texts)
    assert np.array_equal(begins, expected_begins)
    assert np.array_equal(hashes, expected)
    data, ends, asked = kernels.spaced(lying)
    for i, piece in enumerate(pieces):
        if not asked[i]:
            assert data[ends[i] : ends[i + 1]].tobytes() == normal_form(piece.decode("utf-8"))


def test_slices_narrow_offsets_and_nothing() -> None:
    texts = ["one", "two words", "", "中文 ß"]
    for kind in (pa.string(), pa.large_string()):
        part = pa.array(texts, kind).slice(1, 3)
        hashes, offsets = kernels.word_hashes_of(part)
        assert np.array_equal(hashes, units.word_hashes([fold(text) for text in texts[1:]])[0])
        assert offsets.tolist() == [0, 2, 2, 5]
        assert kernels.spaced(part)[0].tobytes().decode().startswith("two words")
    assert kernels.word_hashes_of(column([]))[1].tolist() == [0]
    assert kernels.word_hashes_of(column(["", ""]))[1].tolist() == [0, 0, 0]


def test_giant_words_are_cut_where_the_definition_cuts_them() -> None:
    assert_same(["a" * 3_000_000 + " b", "word " * 300_000, "中" * 400_000])


@given(st.lists(ANY_TEXT, max_size=5), st.integers(1, 7))
@settings(deadline=None)
def test_shingles_are_those_of_the_definition(texts: list[str], n: int) -> None:
    hashes, offsets = units.word_hashes(texts)
    for ours, theirs in zip(
        kernels.shingle_hashes_of(hashes, offsets, n), units.shingle_hashes(hashes, offsets, n), strict=True
    ):
        assert np.array_equal(ours, theirs)


@pytest.mark.shared
def test_every_language_of_the_declaration_of_human_rights(shared_data: Path) -> None:
    folder = shared_data / "07_text" / "nltk__nltk_data" / "packages" / "corpora"
    with zipfile.ZipFile(folder / "udhr2.zip") as archive:
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")]
    assert len(texts) > 380
    assert_same(texts)
