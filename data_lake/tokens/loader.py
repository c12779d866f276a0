"""The token dataset: numbered windows of one split's token stream, read from memory-mapped shards.

All shards of a split are one stream; window i is tokens `i*seq_len … i*seq_len + seq_len`, one more than the model's
length, so that it holds both inputs and targets. Nothing is copied or parsed when a dataset is opened: each row group's
page is one contiguous piece of the file, found through the footer and checked against the page's own header. A file
whose pages look different (because another writer made it) is read through pyarrow instead.
"""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.tokens.order import draws_of_step, permuted, shuffled
from data_lake.tokens.shards import ShardInfo, TokenShardError, open_shard, read_group, read_shard_info

if TYPE_CHECKING:
    from collections.abc import Sequence


class TokenDataset:
    """One split of a tokenize artifact as numbered windows of `seq_len + 1` tokens.

    `len(dataset)` is their number; `dataset.window(i)` and `dataset.batch(indices)` read them;
    `dataset.indices(step, batch)` says which ones a training step takes, so a resumed run needs only its step number.
    """

    def __init__(self, artifact: Path | str, split: str, *, seq_len: int | None = None) -> None:
        """Open `artifact/split/part-*.parquet`. `seq_len` defaults to the row length; any other works too.

        Raises FileNotFoundError if there are no shards, TokenShardError if one is damaged or does not match the rest.
        """
        paths = sorted((Path(artifact) / split).glob("part-*.parquet"))
        if not paths:
            raise FileNotFoundError(f"{Path(artifact) / split} holds no token shards (part-*.parquet).")
        infos = [read_shard_info(path) for path in paths]
        first = infos[0]
        for path, info in zip(paths, infos, strict=True):
            if (info.tokenizer_sha256, info.dtype) != (first.tokenizer_sha256, first.dtype):
                raise TokenShardError(f"{path} and {paths[0]} have different tokenizers; build tokenize again.")
        self.split = split
        self.seq_len = first.seq_len if seq_len is None else seq_len
        if self.seq_len < 1:
            raise ValueError(f"seq_len is {self.seq_len}, but a window needs at least one token.")
        self.n_tokens = sum(info.n_tokens for info in infos)
        self.vocab_size = first.vocab_size
        self.tokenizer_sha256 = first.tokenizer_sha256
        self.bos = first.bos
        self.pad = first.pad
        self.dtype = np.dtype(first.dtype)
        self.memory_mapped = True
        self._pieces: list[np.ndarray] = []
        for path, info in zip(paths, infos, strict=True):
            pieces, mapped = _map_shard(path, info)
            self._pieces += pieces
            self.memory_mapped &= mapped
        self._starts = np.concatenate([[0], np.cumsum([len(piece) for piece in self._pieces])]).tolist()[:-1]

    def __len__(self) -> int:
        """Return how many whole windows there are; up to `seq_len` tokens at the very end are not in any window."""
        return max(0, (self.n_tokens - 1) // self.seq_len)

    def tokens(self, start: int, stop: int) -> np.ndarray:
        """Return tokens `start … stop-1` of the stream: a read-only view inside a row group, a copy across two."""
        if not 0 <= start <= stop <= self.n_tokens:
            raise IndexError(f"Tokens {start} to {stop} are outside the {self.n_tokens} of split {self.split!r}.")
        if start == stop:
            return np.empty(0, dtype=self.dtype)
        return self._between(start, stop)

    def _between(self, start: int, stop: int) -> np.ndarray:
        """`tokens` of at least one token, without its checks: reading a window is little more than a slice."""
        i = bisect_right(self._starts, start) - 1
        offset = start - self._starts[i]
        size = stop - start
        first = self._pieces[i][offset : offset + size]
        got = len(first)
        if got == size:
            return first
        parts = [first]
        while got < size:
            i += 1
            parts.append(self._pieces[i][: size - got])
            got += len(parts[-1])
        return np.concatenate(parts)

    def window(self, i: int) -> np.ndarray:
        """Return window i: uint16 or uint32[seq_len + 1]; `[:-1]` are the inputs, `[1:]` the targets."""
        start = i * self.seq_len
        if start < 0 or start + self.seq_len >= self.n_tokens:
            raise IndexError(f"Window {i} is outside the {len(self)} windows of split {self.split!r}.")
        return self._between(start, start + self.seq_len + 1)

    def batch(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return windows as one array: uint16 or uint32[len(indices), seq_len + 1]."""
        out = np.empty((len(indices), self.seq_len + 1), dtype=self.dtype)
        for row, i in zip(out, indices, strict=True):
            row[:] = self.window(int(i))
        return out

    def indices(self, step: int, batch: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> np.ndarray:
        """Return the window numbers that a rank reads in a training step, int64; one rank reads the whole step.

        Each window comes once per epoch, reshuffled each time. The order depends on the seed and the step alone, not on
        how a run was interrupted or on how many devices share a batch (`draws_of_step`).
        """
        n = len(self)
        if n == 0:
            raise ValueError(
                f"Split {self.split!r} has {self.n_tokens} tokens, too few for one window of {self.seq_len} + 1. "
                "Give it more text, or set a shorter seq_len."
            )
        return shuffled(draws_of_step(step, batch, rank, world_size), n, seed)

    def tokens_in(self, draws: int, seed: int) -> int:
        """Return how many tokens are the inputs of the first `draws` windows of a run, each as often as it is read."""
        return draws * self.seq_len

    def epoch_order(self, seed: int, epoch: int) -> np.ndarray:
        """Return the whole order of an epoch: a permutation of the window numbers, int64[len(self)]."""
        return permuted(np.arange(len(self), dtype=np.int64), len(self), seed, epoch)


def _map_shard(path: Path, info: ShardInfo) -> tuple[list[np.ndarray], bool]:
    """Return a shard's row groups as flat token arrays without the padding, and whether they are memory-mapped."""
    shard = open_shard(path)
    offsets = page_offsets(shard, path, info)
    groups = range(shard.metadata.num_row_groups)
    if offsets is None:
        pieces = [read_group(shard, group, info) for group in groups]
    else:
        # one mapping per file: the kernel limits how many a process may have
        whole = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray) if offsets else np.empty(0, np.uint8)
        sizes = [shard.metadata.row_group(group).num_rows * info.row_bytes for group in groups]
        pieces = [whole[at : at + size].view(info.dtype) for at, size in zip(offsets, sizes, strict=True)]
    if pieces:
        padding = sum(len(piece) for piece in pieces) - info.n_tokens
        pieces[-1] = pieces[-1][: len(pieces[-1]) - padding]
    return pieces, offsets is not None


def page_offsets(shard: Any, path: Path, info: ShardInfo) -> list[int] | None:
    """Return the offset of each row group's first data byte, or None if a group is not one plain page.

    The footer says where a column chunk begins and how long it is with its page header; the header says how long the
    page is. A chunk is mapped only if both agree that it is one header and one page of exactly the rows' bytes.
    """
    offsets = []
    with open(path, "rb") as file:
        for group in range(shard.metadata.num_row_groups):
            meta = shard.metadata.row_group(group)
            column = meta.column(0)
            size = meta.num_rows * info.row_bytes
            header = column.total_compressed_size - size
            if column.compression != "UNCOMPRESSED" or column.dictionary_page_offset or not 0 < header < 256:
                return None
            file.seek(column.data_page_offset)
            if _page_size(file.read(header)) != size:
                return None
            offsets.append(column.data_page_offset + header)
    return offsets


def _page_size(header: bytes) -> int | None:
    """Return the uncompressed size in a data page's header: Thrift's compact protocol, fields 1 (type) and 2 (size)."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while at < len(header):
            value |= (header[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not header[at - 1] & 0x80:
                break
        return (value >> 1) ^ -(value & 1), at

    if len(header) < 4 or header[0] != 0x15:  # field 1, i32
        return None
    kind, at = varint(1)
    if kind != 0 or at >= len(header) or header[at] != 0x15:  # 0 = DATA_PAGE; field 2, i32
        return None
    return varint(at + 1)[0]
