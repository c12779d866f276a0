"""tasks/corpus/contamination/judge.py: n-grams of many documents are ignored, and a share decides.

Also covers: tasks/corpus/contamination/detection.py
"""

from __future__ import annotations

import numpy as np
import pytest

from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.contamination.index import NgramIndex
from tasks.corpus.contamination.judge import contamination_of, judge

TEXT = " ".join(f"w{number}" for number in range(20))  # 8 n-grams of 13


@pytest.mark.parametrize(("documents", "limit", "found"), [(10, 10, 1), (11, 10, 0), (11, 0, 1), (1, 1, 1), (2, 1, 0)])
def test_an_ngram_of_too_many_documents_is_ignored(documents: int, limit: int, found: int) -> None:
    index = NgramIndex([Item("b", "0", TEXT)], 13, 3)
    entries = np.zeros(3 * documents, dtype=np.int64)  # three times in each document: documents count, not places
    numbers = np.repeat(np.arange(documents), 3)
    contamination = judge(index, entries, numbers, DetectionConfig(max_documents=limit))
    assert contamination.found.tolist() == [found]
    assert contamination.documents.tolist() == [documents * found]
    assert contamination.ignored.sum() == 1 - found
    assert contamination.contaminated.tolist() == [bool(found)]


def test_items_that_share_an_ngram_share_its_documents() -> None:
    index = NgramIndex([Item("b", "0", TEXT), Item("c", "0", TEXT)], 13, 3)
    of_first, of_second = np.zeros(6, dtype=np.int64), np.full(6, index.first[1])
    contamination = judge(
        index, np.concatenate([of_first, of_second]), np.tile(np.arange(6), 2), DetectionConfig(max_documents=6)
    )
    assert contamination.found.tolist() == [1, 1]


@pytest.mark.parametrize(("share", "contaminated"), [(0.0, True), (0.25, True), (0.26, False)])
def test_the_share_that_is_asked_for(share: float, contaminated: bool) -> None:
    index = NgramIndex([Item("b", "0", TEXT)], 13, 3)
    contamination = judge(index, np.array([0, 1]), np.array([0, 5]), DetectionConfig(min_share=share))
    assert contamination.fraction.tolist() == [0.25]
    assert contamination.contaminated.tolist() == [contaminated]


def test_nothing_found_and_nothing_asked() -> None:
    empty = np.empty(0, np.int64)
    assert judge(NgramIndex([], 13, 3), empty, empty, DetectionConfig()).contaminated.tolist() == []
    index = NgramIndex([Item("b", "0", "")], 13, 3)
    assert judge(index, empty, empty, DetectionConfig()).fraction.tolist() == [0.0]


def test_contamination_of_several_benchmarks_from_one_reading() -> None:
    sentence = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    benchmarks = {
        "a": [Item("a", "0", "nothing of this stands anywhere at all"), Item("a", "1", sentence)],
        "b": [Item("b", "0", "short question", "its answer")],
        "c": [],
    }
    training = iter([f"so {sentence.upper()}.", "Short question? Its answer!", "short question: another answer"])
    found = contamination_of(benchmarks, training, DetectionConfig())
    assert [v.contaminated.tolist() for v in found.values()] == [[False, True], [True], []]
    assert found["a"].found.tolist() == [0, 2]
    assert found["a"].documents.tolist() == [0, 1]
    assert found["b"].fraction.tolist() == [1.0]
