"""data_lake/tables/text_index.py: a text is found where it lies, another one never, no shard is opened for few."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.tables.arrow_columns import fixed_column, text_digests
from data_lake.tables.documents import shard_path, write_parquet
from data_lake.tables.text_index import TextIndex, write_text_index

TEXTS = st.lists(st.lists(st.text(max_size=8), max_size=12), max_size=5)


def digests(texts: list[str]) -> np.ndarray:
    return np.frombuffer(b"".join(text_digests(pa.array(texts, pa.large_string()))), "<u8").reshape(-1, 2)


def index_of(folder: Path, shards: list[list[str]]) -> TextIndex:
    return index_of_digests(folder, [digests(texts) for texts in shards])


def index_of_digests(folder: Path, shards: list[np.ndarray]) -> TextIndex:
    paths = [shard_path(folder.parent / "artifact", number) for number in range(len(shards))]
    for path, told in zip(paths, shards, strict=True):
        write_parquet(path, pa.table({"text_digest": fixed_column(told)}))
    write_text_index(folder, paths)
    return TextIndex(folder)


@settings(max_examples=60, deadline=None)
@given(shards=TEXTS, asked=st.lists(st.text(max_size=8), max_size=20), seed=st.randoms(use_true_random=False))
def test_each_text_is_found_where_it_lies(
    tmp_path_factory: pytest.TempPathFactory, shards: list[list[str]], asked: list[str], seed: random.Random
) -> None:
    everything = [text for texts in shards for text in texts]
    asked = [*asked, *everything]
    seed.shuffle(asked)
    index = index_of(tmp_path_factory.mktemp("lake") / "index", shards)
    found = list(zip(*(column.tolist() for column in index.find(digests(asked))), strict=True))
    assert [place == (-1, -1) for place in found] == [text not in everything for text in asked]
    assert all(shards[shard][row] == text for text, (shard, row) in zip(asked, found, strict=True) if shard >= 0)


def test_without_an_earlier_artifact_nothing_is_known() -> None:
    shard, row = TextIndex(None).find(digests(["a", "b"]))
    assert shard.tolist() == row.tolist() == [-1, -1]


def test_half_of_the_digest_is_not_enough(tmp_path: Path) -> None:
    index = index_of_digests(tmp_path / "index", [np.array([[7, 1], [9, 2]], np.uint64)])
    assert index.find(np.array([[7, 2], [9, 2]], np.uint64))[1].tolist() == [-1, 1]


def test_a_shard_is_not_opened_for_next_to_none_of_its_texts(tmp_path: Path) -> None:
    shards = [[f"{shard} {number}" for number in range(640)] for shard in range(6)]
    index = index_of(tmp_path / "index", shards)
    mixed = [texts[number] for texts in shards for number in range(9)]  # a sixth of the batch, of a shard 1/71
    assert set(index.find(digests(mixed))[0].tolist()) == {-1}
    one = shards[1][:300] + shards[2][:2] + shards[4][:9]
    found = index.find(digests(one))[0].tolist()
    assert found == [1] * 300 + [2] * 2 + [-1] * 9, "texts at the edge of a shard move to the next"
    found = index.find(digests(mixed))[0].tolist()
    assert found == [0] * 9 + [1] * 9 + [2] * 9 + [-1] * 27, "what is open stays open"
    assert (index.find(digests([texts[number] for texts in shards for number in range(10)]))[0] >= 0).all()


def test_more_rows_than_are_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_lake.tables.text_index._AT_A_TIME", 50)
    shards = [[f"{shard} {number}" for number in range(200)] for shard in range(3)]
    index = index_of(tmp_path / "index", shards)
    for number, texts in enumerate(shards):
        shard, row = index.find(digests(texts))
        assert shard.tolist() == [number] * 200
        assert row.tolist() == list(range(200))
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["rows.npy", "shards.npy"]


def test_an_attempt_that_was_killed_is_done_again(tmp_path: Path) -> None:
    index_of(tmp_path / "index", [["a", "b"], ["c"]])
    (tmp_path / "index" / "shards.npy").unlink()
    (tmp_path / "index" / "rows.npy").write_bytes(b"half")
    assert index_of(tmp_path / "index", [["a", "b"], ["c"]]).find(digests(["c"]))[0].tolist() == [1]
