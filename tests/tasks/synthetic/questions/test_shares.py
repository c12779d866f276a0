"""tasks/synthetic/questions/shares.py: every subject has its even share, whatever their sizes and order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasks.synthetic.questions.shares import evenly


@given(subjects=st.lists(st.sampled_from("abcdefg"), max_size=60), count=st.integers(1, 70))
def test_shares_are_even(subjects: list[str], count: int) -> None:
    items = list(enumerate(subjects))
    chosen = evenly(items, count, lambda item: item[1])
    assert len(chosen) == min(count, len(items))
    assert chosen == sorted(chosen)
    has, gets = Counter(subjects), Counter(subject for _, subject in chosen)
    most = max(gets.values(), default=0)
    for subject, number in has.items():
        assert gets[subject] >= min(number, most - 1)
        assert [item for item in chosen if item[1] == subject] == [i for i in items if i[1] == subject][: gets[subject]]


def test_one_subject_gives_the_first_ones() -> None:
    assert evenly("abcdef", 3, lambda _: "") == ["a", "b", "c"]
