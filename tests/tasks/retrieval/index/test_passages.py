"""index/passages.py: passages are the whole text, are short enough, and end where the text has breaks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text.units import count_words
from tasks.retrieval.index.passages import cut

PIECES = ("mill ", "wheel", "\n", "\n\n", "    ", ". ", "水車", "。", "x" * 30, "--- ", "don't ")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.integers(1, 9), st.integers(4, 60))
def test_passages_are_the_whole_text(text: str, words: int, characters: int) -> None:
    found = list(cut(text, words, characters))
    assert "".join(text[start:end] for start, end, _ in found) == text
    for start, end, count in found:
        assert 0 < end - start <= characters
        assert count <= words
    if characters > 60:
        assert sum(count for _, _, count in found) == count_words(text)


@pytest.mark.parametrize(
    ("text", "words", "passages"),
    [
        ("one two three. four five six", 4, ["one two three. ", "four five six"]),
        ("one two\nthree. four five six", 4, ["one two\n", "three. four five six"]),
        ("a b\n\nc d\ne f\n\ng h", 6, ["a b\n\nc d\ne f\n\n", "g h"]),
        ("f(x)\n    A b.\ng(y)\n    C d.\n\n    E f.\n", 7, ["f(x)\n    A b.\n", "g(y)\n    C d.\n\n    E f.\n"]),
        ("aa bb cc dd ee", 2, ["aa bb ", "cc dd ", "ee"]),
        ("水車が回る。川が流れる。", 8, ["水車が回る。", "川が流れる。"]),
        ("", 3, []),
        (" \n", 3, [" \n"]),
    ],
)  # fmt: skip
def test_where_passages_end(text: str, words: int, passages: list[str]) -> None:
    assert [text[start:end] for start, end, _ in cut(text, words, 1000)] == passages


def test_text_without_breaks_is_cut_where_it_is_full() -> None:
    assert [end - start for start, end, _ in cut("x" * 2500, 40, 1000)] == [1000, 1000, 500]
