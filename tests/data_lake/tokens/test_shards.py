"""Token shards: plain Parquet that any reader reads, the same bytes however it was filled, damage that is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.tokens.shards import (
    METADATA_KEY,
    TokenShardError,
    TokenShardWriter,
    check_shard,
    read_shard_info,
    token_dtype,
)

BOS, PAD = 1, 2


def write(path: Path, *runs: list[int] | np.ndarray, seq_len: int = 8, vocab_size: int = 4096) -> Path:
    with TokenShardWriter(
        path, split="train", seq_len=seq_len, vocab_size=vocab_size, tokenizer_sha256="ab" * 32, bos=BOS, pad=PAD
    ) as writer:
        for run in runs:
            writer.append(run)
    return path


def test_any_parquet_reader_reads_it(tmp_path: Path) -> None:
    tokens = np.arange(100_003) % 4096
    path = write(tmp_path / "part-00000.parquet", tokens, seq_len=16)
    column = pq.read_table(path).column("tokens")
    assert column.type == pa.binary(32)
    read = np.frombuffer(b"".join(column.to_pylist()), dtype="<u2")
    assert np.array_equal(read[: len(tokens)], tokens)
    assert set(read[len(tokens) :].tolist()) == {PAD}
    metadata = pq.read_metadata(path)
    assert metadata.num_row_groups == 7
    assert metadata.row_group(0).num_rows == 1024
    info = check_shard(path)
    assert (info.n_tokens, info.max_id, info.n_bos, info.dtype) == (100_003, 4095, 25, "uint16")
    assert info == read_shard_info(path)


@settings(max_examples=20, deadline=None)
@given(runs=st.lists(st.lists(st.integers(0, 4095), max_size=40), max_size=8))
def test_bytes_do_not_depend_on_the_appends(tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("shards")
    one = write(folder / "one.parquet", *runs)
    two = write(folder / "two.parquet", [token for run in runs for token in run])
    assert one.read_bytes() == two.read_bytes()
    assert check_shard(one).n_tokens == sum(map(len, runs))


def test_an_unfinished_shard_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "part-00000.parquet"
    with pytest.raises(TypeError):
        write(path, np.zeros(10_000, dtype=np.uint16), [None])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_types_by_vocabulary(tmp_path: Path) -> None:
    assert token_dtype(65_536).itemsize == 2
    assert token_dtype(65_537).itemsize == 4
    path = write(tmp_path / "wide.parquet", [BOS, 69_999], vocab_size=70_000)
    assert check_shard(path).dtype == "uint32"
    for wrong in ([BOS, 4096], np.array([BOS, 70_000]), [-1]):
        with pytest.raises(ValueError, match="outside the vocabulary of 4096"):
            write(tmp_path / "narrow.parquet", wrong, vocab_size=4096)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: flip(path, 300),  # in the page
        lambda path: flip(path, len(path.read_bytes()) - 6),  # in the footer's length
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no parquet at all"),
        lambda path: pq.write_table(pa.table({"a": [1]}), path),
        lambda path: forge(path, n_tokens=9_000),
        lambda path: forge(path, n_tokens=9_999),
        lambda path: forge(path, max_id=17),
        lambda path: forge(path, n_bos=0),
        lambda path: forge(path, vocab_size=100),
        lambda path: forge(path, nonsense=True),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = write(tmp_path / "part-00000.parquet", np.arange(10_000) % 4096)
    check_shard(path)
    damage(path)
    with pytest.raises(TokenShardError, match=r"part-00000\.parquet"):
        check_shard(path)


def forge(path: Path, **fields: object) -> None:
    """Change what a shard says about itself and leave its tokens."""
    metadata = pq.read_metadata(path).metadata
    described = {**json.loads(metadata[METADATA_KEY]), **fields}
    pq.write_table(pq.read_table(path).replace_schema_metadata({METADATA_KEY: json.dumps(described)}), path)
