"""Footnote marks and escapes of JSON hide no words, and what is found is cut out of the text as it was."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.index import NgramIndex, Words
from tasks.corpus.contamination.marks import may_have_marks, without_marks

TEXT = "The miller of the old stone house didn't open the sluice gate before dawn, and slept until noon."
ITEM = Item("b", "1", TEXT)
MARKED = st.lists(
    st.sampled_from(
        ["mill", "’", " ", "[1]", "[note 2]", "¹", "²³", "x", ".", "[", "]", "\\", "n", "\\u2019", "\\n", "é", '"']
    ),
    max_size=30,
).map("".join)


@pytest.mark.parametrize(
    "marked",
    [
        TEXT.replace("house", "house[1]").replace("gate", "gate [12]"),
        TEXT.replace("house", "house¹").replace("dawn,", "dawn,²³").replace("miller", "miller*"),
        TEXT.replace("stone", "stone[a]")
        .replace("sluice", "sluice[3, 4–7]")
        .replace("until", "until[citation needed]"),
        TEXT.replace("stone", "stone[note 1]").replace("sluice", "sluice†"),
        json.dumps(TEXT.replace("'", "’").replace("before ", "before\n"))[1:-1],
    ],
)
def test_an_item_with_marks_is_found_whole_and_at_its_place(marked: str) -> None:
    before, after = "It is told[2] that ", " So they say.[3]"
    text = f"{before}{marked}{after}"
    index = NgramIndex([ITEM], 13, 3)
    for words in (Words.of([text]), Words.of_column(pa.array([text], pa.large_string()))):
        hits = index.find(words)
        assert len(hits) == index.ngrams(0)
        assert set(hits.entry.tolist()) == set(range(len(index)))
        assert text[int(hits.start.min()) : int(hits.end.max())] == marked.rstrip(".")
        assert np.all(np.diff(hits.place) > 0)


def test_what_has_marks_of_its_own_is_found_too_and_each_place_once() -> None:
    code = "for i in range(n): a[i] = b[1] + c[2] and then d[3] = x² so that it all goes on"
    index = NgramIndex([Item("b", "1", code)], 13, 3)
    hits = index.find(Words.of([f"Look: {code} there."]))
    assert len(hits) == index.ngrams(0)


@settings(max_examples=200, deadline=None)
@given(MARKED)
def test_what_is_left_comes_from_where_it_stood(text: str) -> None:
    clean = without_marks(text)
    (flag,) = may_have_marks(np.frombuffer(text.encode() or b"\0", np.uint8), np.array([0, len(text.encode())]))
    if clean is None:
        return
    assert flag
    assert len(clean.text) == len(clean.starts) == len(clean.ends)
    assert np.all(np.diff(clean.starts) >= 0)
    assert np.all(clean.starts < clean.ends)
    for letter, start, end in zip(clean.text, clean.starts.tolist(), clean.ends.tolist(), strict=True):
        assert text[start:end] == letter or text[start] == "\\"


def test_many_marks_cost_no_more_than_their_length() -> None:
    assert without_marks("[" * 200_000) is None
    clean = without_marks("[1] \\u2019" * 100_000)
    assert clean is not None
    assert clean.text == " ’" * 100_000
