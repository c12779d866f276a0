"""verdicts.py: what a judge's words mean, and that words without a verdict are never a number."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.judge.verdicts import CUT, NoVerdict, letter_of, score_of


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("85", 85), (" 0\n", 0), ("100", 100), ("**7**", 7), ("Score: 85.", 85), ("85/100", 85), ("85 / 100.", 85),
        ("I give it 40 out of 100", 40), ("Between 60 and 70, so 65", 65), ("On a scale from 0 to 100: 85", 85),
        ("85 (on a scale from 0 to 100)", 85), ("87.5", 87.5), ("90%", 90), ("<think>10, no, 20</think>\n\n30", 30),
        ('{"score": 12}', 12), ("**85**/100", 85), ("100/100", 100),
    ],
)  # fmt: skip
def test_a_score_is_the_number_or_the_last_one(words: str, score: float) -> None:
    assert score_of(words) == score


@pytest.mark.parametrize(
    "words",
    ["", "good", "-5", "105", "1,000", "100.5", "x7", "GPT4", "٨٥", "eighty", "<think>I think of 30", "1.2.3", "7e5"],
)
def test_words_without_a_score_are_unparsable(words: str) -> None:
    with pytest.raises(NoVerdict, match="unparsable"):
        score_of(words)


def test_words_that_the_length_limit_cut_have_no_last_number() -> None:
    with pytest.raises(NoVerdict, match=CUT):
        score_of("The answer has 3 of the 5 points, so", cut=True)
    assert score_of("85", cut=True) == 85
    with pytest.raises(NoVerdict, match=CUT):
        letter_of("Response A", cut=True)
    assert letter_of("A", cut=True) == "A"


@given(st.integers(0, 100), st.text(alphabet="abc :\n*()", max_size=8), st.sampled_from(["", "/100", " out of 100"]))
def test_any_score_is_read_back(score: int, before: str, after: str) -> None:
    assert score_of(f"{before} {score}{after}") == score


@given(st.text())
def test_any_words_are_a_score_in_range_or_none(words: str) -> None:
    with contextlib.suppress(NoVerdict):
        assert 0 <= score_of(words) <= 100


@pytest.mark.parametrize(
    ("words", "letter"),
    [("A", "A"), ("B.", "B"), ("**C**", "C"), ("Response B", "B"), ("A loses to B, so [[B]]", "B")],
)
def test_a_letter_is_the_only_or_the_marked_one(words: str, letter: str) -> None:
    assert letter_of(words) == letter


@pytest.mark.parametrize("words", ["", "neither", "A or B", "a", "ABC", "1"])
def test_words_without_a_single_letter_are_unparsable(words: str) -> None:
    with pytest.raises(NoVerdict, match="unparsable"):
        letter_of(words)
