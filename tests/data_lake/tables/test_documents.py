"""Ids, splits, and shards that are whole or absent."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.tables import schemas
from data_lake.tables.documents import ShardWriter, count_rows, doc_id, read_documents, shards, split_of, write_parquet


def row(number: int, text: str = "text") -> dict[str, object]:
    return {"doc_id": doc_id(record_id=str(number)), "source": "test", "text": text, "n_bytes": len(text)}


def test_an_id_is_of_the_url_then_of_the_record_then_of_what_it_says():
    assert doc_id(url="http://a/", record_id="1") == doc_id(url="http://a/")
    assert doc_id(record_id="1", source="a") != doc_id(record_id="1", source="b")
    names = [{"url": "x"}, {"record_id": "x"}, {"payload": "x"}, {"payload": "y"}]
    names += [{"url": "x", "payload": "x"}, {"record_id": "x", "payload": "x"}]
    assert len({doc_id(**name) for name in names}) == len(names)
    assert len(doc_id(record_id="\ud800")) == 16


def test_splits_have_the_fractions_asked_for():
    counts = Counter(split_of(doc_id(payload=str(n)), 0.1, 0.2) for n in range(10_000))
    assert counts["val"] == pytest.approx(1000, abs=120)
    assert counts["test"] == pytest.approx(2000, abs=160)


@given(st.text(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_fraction_only_takes_from_train(name, val, test):
    split = split_of(name, val, test)
    assert split_of(name, 0.5, test) == ("test" if split == "test" else split_of(name, 0.5, 0.0)) or split == "train"
    if split == "val":
        assert split_of(name, min(0.5, val + 0.1), test) == "val"
    if split == "test":
        assert split_of(name, val, min(0.5, test + 0.1)) == "test"


def test_impossible_fractions_are_refused():
    with pytest.raises(ValueError, match=r"val=0\.6"):
        split_of("x", 0.6, 0.6)


def test_shards_are_cut_by_size_and_read_in_order(tmp_path):
    with ShardWriter(tmp_path / "documents", schemas.DOCUMENTS, shard_bytes=200_000, row_group_bytes=100_000) as writer:
        for number in range(3000):
            writer.write(row(number, "x" * 100))
    assert len(shards(tmp_path / "documents")) == 2
    assert count_rows(tmp_path / "documents") == 3000
    ids = [value for batch in read_documents(tmp_path, ["doc_id"]) for value in batch.column(0).to_pylist()]
    assert ids == [doc_id(record_id=str(number)) for number in range(3000)]


def test_the_same_rows_make_the_same_bytes(tmp_path):
    for name in "ab":
        with ShardWriter(tmp_path / name, schemas.DOCUMENTS) as writer:
            for number in range(100):
                writer.write(row(number))
    assert shards(tmp_path / "a")[0].read_bytes() == shards(tmp_path / "b")[0].read_bytes()


def test_no_rows_still_leave_the_schema(tmp_path):
    with ShardWriter(tmp_path / "documents", schemas.DOCUMENTS):
        pass
    assert count_rows(tmp_path / "documents") == 0
    assert list(read_documents(tmp_path)) == [] or all(batch.num_rows == 0 for batch in read_documents(tmp_path))


def test_a_failure_leaves_no_shard(tmp_path):
    def rows():
        yield row(1, "x" * 2000)
        yield row(2)
        raise RuntimeError

    def write():
        with ShardWriter(tmp_path / "documents", schemas.DOCUMENTS, row_group_bytes=1000) as writer:
            for item in rows():
                writer.write(item)

    with pytest.raises(RuntimeError):
        write()
    assert shards(tmp_path / "documents") == []
    assert list((tmp_path / "documents").iterdir()) == []
    with pytest.raises(FileNotFoundError, match="documents"):
        list(read_documents(tmp_path))


def test_a_write_that_fails_keeps_the_old_file(tmp_path):
    path = tmp_path / "part-00000.parquet"
    write_parquet(path, pa.Table.from_pylist([row(1)], schema=schemas.DOCUMENTS))
    before = path.read_bytes()
    broken = pa.Table.from_pylist([{**row(2), "text": None}], schema=schemas.DOCUMENTS)
    with pytest.raises((pa.ArrowInvalid, OSError)):
        write_parquet(path, broken)
    assert path.read_bytes() == before


def test_unknown_columns_are_named(tmp_path):
    with pytest.raises(KeyError, match="colour"):
        ShardWriter(tmp_path, schemas.DOCUMENTS).write({**row(1), "colour": "red"})
