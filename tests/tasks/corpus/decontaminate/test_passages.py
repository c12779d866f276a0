"""tasks/corpus/decontaminate/passages.py: GPT-3's cutting, to the character, and neighbouring n-grams as one passage.

Also covers: tasks/corpus/decontaminate/config.py
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.corpus.decontaminate.config import CutConfig
from tasks.corpus.decontaminate.passages import Passage, cut, passages

GPT3 = CutConfig()


def test_the_gram_and_200_characters_around_it_go() -> None:
    text = "a" * 500 + "GRAM" + "b" * 500
    assert cut(text, [(500, 504)], GPT3) == ["a" * 300, "b" * 300]


def test_pieces_of_less_than_200_characters_are_discarded() -> None:
    assert cut("a" * 399 + "GRAM" + "b" * 400, [(399, 403)], GPT3) == ["b" * 200]
    assert cut("a" * 100 + "GRAM" + "b" * 100, [(100, 104)], GPT3) == []


def test_a_document_in_more_than_ten_pieces_goes_altogether() -> None:
    page = "x" * 700 + "GRAM"
    spans = [(number * 704 + 700, number * 704 + 704) for number in range(10)]
    assert cut(page * 9 + "x" * 700, spans[:9], GPT3) is not None
    assert cut(page * 10 + "x" * 700, spans, GPT3) is None  # eleven pieces


def test_grams_closer_than_their_windows_are_one_cut() -> None:
    text = "a" * 400 + "GRAM" + "b" * 300 + "GRAM" + "c" * 400
    assert cut(text, [(400, 404), (704, 708)], GPT3) == ["a" * 200, "c" * 200]


@given(
    size=st.integers(0, 400),
    spans=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50)), max_size=6),
    window=st.integers(0, 40),
    shortest=st.integers(0, 30),
)
def test_pieces_are_what_the_windows_leave(size: int, spans: list[tuple[int, int]], window: int, shortest: int) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(size))
    inside = [(start, min(size, start + length)) for start, length in spans if start < size]
    pieces = cut(text, inside, CutConfig(window=window, shortest_piece=shortest, max_pieces=100))
    gone = {i for start, end in inside for i in range(start - window, end + window)}
    left = "".join(character for i, character in enumerate(text) if i not in gone)
    assert pieces is not None
    assert all(len(piece) >= shortest and piece in text for piece in pieces)
    if shortest <= 1:
        assert "".join(pieces) == left


def test_neighbouring_ngrams_are_one_passage() -> None:
    grams = [(3, 13, 10, 90), (4, 13, 14, 95), (17, 13, 96, 150), (40, 13, 300, 380)]
    assert passages(grams) == [Passage(27, 10, 150), Passage(13, 300, 380)]
    assert passages([]) == []
