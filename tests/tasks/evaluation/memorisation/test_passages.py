"""memorisation/passages.py: passages lie within documents, and are counted exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.memorisation import passages as subject
from tasks.evaluation.memorisation.passages import by_count, drawn_passages, occurrences


class Stream:
    """What the functions ask of a token dataset."""

    bos = 0
    dtype = np.dtype(np.uint16)

    def __init__(self, tokens: list[int]) -> None:
        self.all = np.array(tokens, dtype=np.uint16)
        self.n_tokens = len(tokens)

    def tokens(self, start: int, stop: int) -> np.ndarray:
        return self.all[start:stop]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 5), st.sampled_from([3, 7, 1000]))
def test_counts_are_those_of_a_plain_search(tokens: list[int], length: int, chunk: int) -> None:
    stream: Any = Stream(tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "CHUNK", chunk)
        found = drawn_passages(stream, length, 10, seed=1)
        counts = occurrences(stream, found)
    places = [tokens[i : i + length] for i in range(len(tokens) - length + 1)]
    assert counts == [places.count(passage.tolist()) for passage in found]
    assert all(count >= 1 for count in counts)
    assert not (found == 0).any(), "a passage does not cross the beginning of a document"


def test_large_ids_and_what_is_not_there() -> None:
    stream: Any = Stream([65535, 1, 65535, 1, 65535])
    assert occurrences(stream, np.array([[65535, 1], [1, 65535], [1, 1]])) == [2, 2, 0]
    assert occurrences(stream, np.empty((0, 2))) == []
    assert len(drawn_passages(stream, 6, 10, seed=0)) == 0


def test_groups() -> None:
    assert by_count([0, 1, 2, 3, 9, 10, 500]) == ["1", "1", "2", "3–9", "3–9", "10 and more", "10 and more"]
