"""tasks/corpus/decontaminate/overlap.py: shares of n-grams, whole or sampled, the same however the corpus is cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.tables.documents import shard_path, write_parquet
from tasks.corpus.decontaminate.overlap import gather, shares


def write(work: Path, folder: str, tables: list[dict[str, np.ndarray]]) -> None:
    for number, columns in enumerate(tables):
        write_parquet(shard_path(work / folder, number), pa.table(columns))


def held_out(rows: list[list[int]], ngrams: list[list[int]]) -> list[dict[str, np.ndarray]]:
    return [
        {"row": np.array(row, np.int64), "ngram": np.array(ngram, np.uint64)}
        for row, ngram in zip(rows, ngrams, strict=True)
    ]


def test_shares_are_counted_per_document(tmp_path: Path) -> None:
    write(tmp_path, "held_out", held_out([[0, 0, 3], [1]], [[50, 7, 7], [2**64 - 1]]))
    found = gather(tmp_path / "held_out", tmp_path / "held_out.npy", 100)
    assert found.count == 3
    assert np.load(tmp_path / "held_out.npy").tolist() == [7, 50, 2**64 - 1]
    write(tmp_path, "seen", [{"ngram": np.array([0])}, {"ngram": np.array([0, 2])}])
    assert shares(tmp_path / "seen", found) == {(0, 0): 0.5, (0, 3): 1.0, (1, 1): 1.0}


def test_nothing_held_out(tmp_path: Path) -> None:
    write(tmp_path, "held_out", held_out([[], []], [[], []]))
    found = gather(tmp_path / "held_out", tmp_path / "held_out.npy", 100)
    write(tmp_path, "seen", [{"ngram": np.array([], np.int64)}])
    assert (found.count, shares(tmp_path / "seen", found)) == (0, {})


@settings(max_examples=40, deadline=None)
@given(
    ngrams=st.lists(st.integers(0, 2**64 - 1), max_size=200, unique=True),
    cuts=st.lists(st.integers(0, 200), max_size=3),
    most=st.integers(1, 300),
)
def test_a_sample_does_not_depend_on_the_shards(
    tmp_path_factory: pytest.TempPathFactory, ngrams: list[int], cuts: list[int], most: int
) -> None:
    whole, parted = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parted")
    bounds = [0, *sorted(min(cut, len(ngrams)) for cut in cuts), len(ngrams)]
    parts = [ngrams[a:b] for a, b in pairwise(bounds)]
    write(whole, "held_out", held_out([[0] * len(ngrams)], [ngrams]))
    write(parted, "held_out", held_out([[0] * len(part) for part in parts], parts))
    kept = [gather(work / "held_out", work / "held_out.npy", most) for work in (whole, parted)]
    keys = [np.load(work / "held_out.npy").tolist() for work in (whole, parted)]
    assert keys[0] == keys[1]
    assert len(kept[0].ngram) == len(kept[1].ngram) <= most
    if len(ngrams) <= most:
        assert keys[0] == sorted(set(ngrams))
