"""Shingle sets and digests: the kernels and numpy give the same values, for any text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text import units
from data_lake.text.folding import fold
from tasks.corpus.dedup.shingles import common, digests, shingle_sets, strings

TEXTS = st.lists(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab \n中é\u0301ß")), max_size=50),
    max_size=6,
)
SETS = st.lists(st.sets(st.integers(0, 40), max_size=30), min_size=2, max_size=6)


@settings(max_examples=80, deadline=None)
@given(TEXTS, st.integers(1, 6))
def test_sets_are_the_distinct_shingles_in_order(texts: list[str], n: int) -> None:
    column = pa.array(texts, pa.large_string())
    values, begins = shingle_sets(column, n, compiled=False)
    for ours, theirs in zip(shingle_sets(column, n, compiled=True), (values, begins), strict=True):
        assert np.array_equal(ours, theirs)
    for i, text in enumerate(texts):
        words = units.words(fold(text))
        mine = values[begins[i] : begins[i + 1]].tolist()
        assert mine == sorted(set(mine))
        assert len(mine) == len({tuple(words[k : k + n]) for k in range(max(1, len(words) - n + 1))} if words else ())


def test_long_texts_are_sorted_too() -> None:
    generator = np.random.default_rng(0)
    column = pa.array([" ".join(map(str, generator.integers(0, 5000, size))) for size in (3000, 47, 48, 49)])
    for ours, theirs in zip(
        shingle_sets(column, 2, compiled=True), shingle_sets(column, 2, compiled=False), strict=True
    ):
        assert np.array_equal(ours, theirs)


@settings(max_examples=80, deadline=None)
@given(TEXTS)
def test_digests_are_equal_where_normal_forms_are(texts: list[str]) -> None:
    column = pa.array([*texts, *(f"  {text}\n" for text in texts)], pa.large_string())
    ours = digests(column, compiled=True)
    assert ours == digests(column, compiled=False)
    assert ours[: len(texts)] == ours[len(texts) :]


@settings(max_examples=80, deadline=None)
@given(SETS)
def test_what_two_sets_share(sets: list[set[int]]) -> None:
    values = np.array([value for each in sets for value in sorted(each)], dtype=np.uint32)
    begins = np.cumsum([0, *map(len, sets)])
    first, second = (np.array(side) for side in zip(*((i, j) for i in range(len(sets)) for j in range(i)), strict=True))
    expected = [len(sets[i] & sets[j]) for i, j in zip(first, second, strict=True)]
    for compiled in (False, True):
        assert common(values, begins, first, second, compiled=compiled).tolist() == expected


def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    offsets = np.array([0, 3, 6], dtype=np.int64)
    lying = pa.LargeStringArray.from_buffers(2, pa.py_buffer(offsets), pa.py_buffer(b"ab\xffcd "))
    assert strings(lying) == ["ab\ufffd", "cd "]
    assert digests(lying, compiled=True) == digests(lying, compiled=False)
