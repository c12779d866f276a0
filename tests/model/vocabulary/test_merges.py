"""Merges and ranks: one follows from the other, and where they would not agree, nothing is called equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.vocabulary.merges import (
    byte_letters,
    letter_bytes,
    merges_of,
    parts_of,
    ranks_if_equal,
    read_merges,
    spelled,
    unspelled,
)
from tests.model.vocabulary.small_models import learned_pairs


@given(st.binary(max_size=20))
def test_bytes_are_spelled_with_letters_and_back(token: bytes) -> None:
    name = spelled(token)
    assert len(name) == len(token)
    assert not any(letter.isspace() for letter in name)
    assert unspelled(name) == token


def test_every_byte_has_a_letter_of_its_own() -> None:
    assert len(set(byte_letters())) == 256
    assert spelled(b" the\n") == "ĠtheĊ"
    assert letter_bytes()["a"] == ord("a")
    assert unspelled("the cat") is None


def test_merges_and_ranks_follow_from_each_other() -> None:
    ranks = learned_pairs().ranks
    merges, unreachable = merges_of(ranks)
    assert unreachable == 0
    assert [left + right for left, right in merges] == [
        t for t, r in sorted(ranks.items(), key=lambda i: i[1]) if len(t) > 1
    ]
    assert ranks_if_equal(ranks, merges) == ranks
    # as some converters list them: every pair that makes the token, not only the one that occurs
    more = [
        (t[:at], t[at:])
        for t in (a + b for a, b in merges)
        for at in range(1, len(t))
        if {t[:at], t[at:]} <= ranks.keys()
    ]
    assert len(more) > len(merges)
    assert ranks_if_equal(ranks, more) == ranks


def test_what_would_encode_otherwise_is_not_equal() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"bc": 257, b"abc": 258}
    assert parts_of(b"abc", ranks) == [b"ab", b"c"]
    merges = [(b"a", b"b"), (b"b", b"c"), (b"ab", b"c")]
    assert ranks_if_equal(ranks, merges) == ranks
    assert ranks_if_equal(ranks, [merges[1], merges[0], merges[2]]) is None, "the order of merges is not that of ids"
    assert ranks_if_equal(ranks, [*merges[:2], (b"a", b"bc")]) is None, "the merge that occurs is not listed"
    assert ranks_if_equal(ranks, merges[:2]) is None, "a token without a merge"
    assert ranks_if_equal(ranks, [*merges, (b"abc", b"d")]) is None, "a merge without a token"
    assert ranks_if_equal({t: r for t, r in ranks.items() if t != b"\x00"}, merges) is None, "a byte without a token"


def test_tokens_that_no_merge_makes_are_counted() -> None:
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"whole": 256}
    assert merges_of(ranks) == ([], 1)


def test_lines_of_merges_are_read_or_refused() -> None:
    lines = ["#version: 0.2", "Ġ t", "h e", "", "Ġt he"]
    assert list(read_merges(lines)) == [(b" ", b"t"), (b"h", b"e"), (b" t", b"he")]
    for wrong in ("a", "a b c", "a  b", "a \u4e00"):
        with pytest.raises(ValueError, match="Line 2 of the merges is not a pair"):
            list(read_merges(["a b", wrong]))
