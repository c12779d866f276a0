"""Byte-pair vocabularies: a Unicode form of the text where one is asked for, and what cannot work is refused."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given

from model.vocabulary.byte_pairs import PATTERNS, BytePairs, parse_ranks, rank_lines, whole_characters
from tests.model.vocabulary.small_models import hard_texts

BYTES = {bytes([byte]): byte for byte in range(256)}
PLAIN, NFC = BytePairs(BYTES, PATTERNS["gpt4"]), BytePairs(BYTES, PATTERNS["gpt4"], "NFC")


@given(hard_texts)
def test_text_is_normalized_where_the_vocabulary_says_so(text: str) -> None:
    assert bytes(PLAIN.encode(text)) == text.encode()
    # Python's tables are older than those of `tokenizers`: what is composed there stays as it is here, never more
    assert unicodedata.normalize("NFC", bytes(NFC.encode(text)).decode()) == unicodedata.normalize("NFC", text)


@given(hard_texts)
def test_an_array_holds_the_same_ids_as_the_list(text: str) -> None:
    for vocabulary in (PLAIN, NFC):
        for around in (text, f"{text}<|no special token|>{text}", f"{text}\ud800e\u0301"):
            assert vocabulary.encode_array(around).tolist() == vocabulary.encode(around)


def test_letters_and_marks_are_composed() -> None:
    assert bytes(NFC.encode("e\u0301")).decode() == "é"
    assert bytes(PLAIN.encode("e\u0301")).decode() == "e\u0301"
    assert bytes(NFC.encode("\ud800é")).decode() == "\ufffdé"


def test_ranks_are_stored_as_tiktoken_stores_them() -> None:
    assert parse_ranks(rank_lines(BYTES)) == BYTES
    assert rank_lines({b"a": 1, b"b": 0}) == b"Yg== 0\nYQ== 1\n"
    assert pickle.loads(pickle.dumps(NFC)).encode("e\u0301") == NFC.encode("e\u0301")


def test_what_cannot_encode_is_refused() -> None:
    with pytest.raises(ValueError, match="Byte 0 has no token"):
        BytePairs({}, "a")
    with pytest.raises(ValueError, match="Two tokens have the same rank"):
        BytePairs({**BYTES, b"ab": 7}, "a")
    with pytest.raises(ValueError, match="not a regular expression"):
        BytePairs(BYTES, "(")
    with pytest.raises(ValueError, match="normalizer 'NFKC' is not known"):
        BytePairs(BYTES, "a", "NFKC")


def test_halves_of_surrogate_pairs_become_the_replacement_character() -> None:
    assert whole_characters("a\ud83d") == "a\ufffd"
    assert whole_characters("\ud83d\ude00 ok") == "😀 ok"
    assert whole_characters("ok") == "ok"
