"""The token dataset: every window of the stream, across rows, groups and shards, in an order that is a number's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.shards import METADATA_KEY, TokenShardError, TokenShardWriter


def write(folder: Path, *shards: np.ndarray, seq_len: int = 4, sha: str = "ab", vocab_size: int = 5000) -> Path:
    for number, tokens in enumerate(shards):
        with TokenShardWriter(
            folder / "train" / f"part-{number:05d}.parquet",
            split="train",
            seq_len=seq_len,
            vocab_size=vocab_size,
            tokenizer_sha256=sha,
            bos=1,
            pad=2,
        ) as writer:
            writer.append(tokens)
    return folder


def stream(length: int) -> np.ndarray:
    return (np.arange(length) * 7919 % 5000).astype(np.uint16)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 3, 4, 5, 4095, 4096, 4097, 9001]), min_size=1, max_size=4),
    window=st.one_of(st.none(), st.integers(1, 40), st.sampled_from([4096, 5000])),
)
def test_windows_are_the_stream(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], window: int | None
) -> None:
    """Rows of 4 tokens, groups of 4096: windows begin and end inside and across rows, groups, and shards."""
    tokens = stream(sum(lengths))
    shards = np.split(tokens, np.cumsum(lengths)[:-1])
    data = TokenDataset(write(tmp_path_factory.mktemp("tokens"), *shards), "train", seq_len=window)
    size = data.seq_len
    assert size == (window or 4)
    assert data.n_tokens == len(tokens)
    assert len(data) == max(0, (len(tokens) - 1) // size)
    for i in {0, 1, len(data) // 2, len(data) - 1, *range(min(len(data), 50))} & set(range(len(data))):
        assert np.array_equal(data.window(i), tokens[i * size : (i + 1) * size + 1])
    assert np.array_equal(data.tokens(0, len(tokens)), tokens)
    with pytest.raises(IndexError, match="outside"):
        data.window(len(data))


def test_a_batch_is_its_windows(tmp_path: Path) -> None:
    data = TokenDataset(write(tmp_path, stream(5000)), "train", seq_len=10)
    batch = data.batch([3, 499 - 1, 3])
    assert batch.shape == (3, 11)
    assert batch.dtype == np.uint16
    assert np.array_equal(batch[0], batch[2])
    assert np.array_equal(batch[1], data.window(498))
    assert data.memory_mapped


def test_four_byte_tokens(tmp_path: Path) -> None:
    tokens = np.arange(60_000, 70_000).astype(np.uint32)
    data = TokenDataset(write(tmp_path, tokens, vocab_size=70_000), "train", seq_len=9)
    assert np.array_equal(data.window(100), tokens[900:910])


def test_files_of_another_writer_are_read_through_arrow(tmp_path: Path) -> None:
    """Same rows and metadata, but compressed, or several pages and other row groups."""
    tokens = stream(30_000)
    write(tmp_path, tokens)
    path = tmp_path / "train" / "part-00000.parquet"
    described = pq.read_metadata(path).metadata[METADATA_KEY]
    table = pq.read_table(path).replace_schema_metadata({METADATA_KEY: described})
    for options in (
        {"compression": "zstd"},
        {"compression": "none", "use_dictionary": False, "data_page_size": 64, "write_batch_size": 8},
        {"compression": "none", "row_group_size": 100},
    ):
        pq.write_table(table, path, **options)
        data = TokenDataset(tmp_path, "train", seq_len=100)
        assert not data.memory_mapped
        assert np.array_equal(data.tokens(0, 30_000), tokens)
        assert np.array_equal(data.window(250), tokens[25_000:25_101])


def test_a_step_needs_only_its_number(tmp_path: Path) -> None:
    data = TokenDataset(write(tmp_path, stream(4 * 103 + 1)), "train")
    taken = np.concatenate([data.indices(step, 8, seed=3) for step in range(26)])
    assert np.array_equal(taken[:103], data.epoch_order(3, 0))
    assert np.array_equal(taken[103:206], data.epoch_order(3, 1))
    assert np.array_equal(taken[80:96], data.indices(5, 16, seed=3))  # batches of other sizes take the same sequence
    assert sorted(taken[:103]) == list(range(103))


def test_the_batches_never_change(tmp_path: Path) -> None:
    """A digest recorded before documents could be packed: without that option, every batch is what it was then."""
    data = TokenDataset(write(tmp_path, stream(5000), stream(3333)), "train", seq_len=32)
    read = b"".join(data.batch(data.indices(step, 8, 5)).astype("<u2").tobytes() for step in (0, 1, 7, 40, 1000))
    assert hashlib.sha256(read).hexdigest() == "714638c61f07dbc0f22c27b66a3f27bee26d1b612445feeb2b2b02ee427d5533"


def test_the_ranks_together_read_the_batch_of_one_process(tmp_path: Path) -> None:
    data = TokenDataset(write(tmp_path, stream(500)), "train")
    for world_size in (1, 2, 5, 8):
        for step in (0, 15, 16, 1000):
            parts = [data.batch(data.indices(step, 8, 5, rank, world_size)) for rank in range(world_size)]
            assert np.array_equal(np.concatenate(parts), data.batch(data.indices(step, 8, 5)))


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no token shards"):
        TokenDataset(tmp_path, "train")
    write(tmp_path, stream(100))
    write(tmp_path / "other", stream(100), sha="cd")
    (tmp_path / "other" / "train" / "part-00000.parquet").rename(tmp_path / "train" / "part-00001.parquet")
    with pytest.raises(TokenShardError, match="different tokenizers"):
        TokenDataset(tmp_path, "train")
    (tmp_path / "train" / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(TokenShardError, match="part-00001"):
        TokenDataset(tmp_path, "train")
    (tmp_path / "train" / "part-00001.parquet").unlink()
    with pytest.raises(ValueError, match="too few for one window of 100"):
        TokenDataset(tmp_path, "train", seq_len=100).indices(0, 1)
