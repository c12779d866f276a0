"""tasks/training/seq2seq/measures.py: chrF is sacrebleu's, to the last digit, and exact match is equality."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.training.seq2seq.measures import measure

TEXT = st.text(st.sampled_from("abc d.é"), max_size=12)


@settings(max_examples=15)
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_they_are_those_of_sacrebleu(rows: list[tuple[str, str]]) -> None:
    written, wanted = [row[0] for row in rows], [row[1] for row in rows]
    found = measure(written, wanted)
    assert found.chrf == sacrebleu.corpus_chrf(written, [wanted]).score
    assert found.exact_match == sum(one == other for one, other in rows) / len(rows)


def test_a_known_value_with_its_error_and_signature() -> None:
    found = measure(["the cat", "a dog", "x"], ["the cat", "a dog", "y"])
    assert found.exact_match == pytest.approx(2 / 3)
    assert found.exact_match_stderr == pytest.approx(1 / 3)
    assert {"nrefs:1", "nc:6", "nw:0"} <= set(found.signature.split("|"))
    assert measure(["a"], ["a"]).exact_match_stderr is None
    assert measure(["a"], ["a"]).chrf_stderr is None


def test_chrf_has_the_error_of_its_own_spread() -> None:
    """Texts that are all right or all wrong: chrF is then nearly the share of right letters, a mean over texts."""
    written = ["abcdefgh" if n % 4 else "zzzzzzzz" for n in range(200)]
    found = measure(written, ["abcdefgh"] * 200)
    assert found.chrf == pytest.approx(75, abs=1)
    assert found.chrf_stderr == pytest.approx(100 * (0.75 * 0.25 / 200) ** 0.5, rel=0.15)
    assert measure(["abc"] * 5, ["abc"] * 5).chrf_stderr == 0.0
