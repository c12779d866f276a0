"""Token shards: one split's token stream in Parquet, laid out so that it can be read like a flat file.

Parquet has no 16-bit integers and stores lists with repetition levels: a `list<uint16>` column takes twice the bytes
and reads a hundred times slower than a raw file. So a row is `fixed_size_binary[itemsize * seq_len]`, PLAIN,
uncompressed, one page per row group of 1024 rows. The tokens of a row group are then one contiguous piece of the file
at an offset given in its footer: `data_lake.tokens.loader` maps it into memory (2.5 Gtok/s scan, as fast as a raw
.bin), and any Parquet reader can still read it. The last row is padded with the pad id; the metadata holds the true
count.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.store.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS_PER_GROUP = 1024
METADATA_KEY = b"textmill.tokens"
COLUMN = "tokens"


class TokenShardError(ValueError):
    """A file is a damaged token shard, or not a token shard at all."""


@dataclass(frozen=True)
class ShardInfo:
    """What a token shard says about itself, in its Parquet metadata.

    n_tokens excludes padding; n_bos of the tokens open a document; max_id is the largest id, -1 if there are no tokens.
    """

    n_tokens: int
    n_bos: int
    max_id: int
    seq_len: int
    dtype: str
    vocab_size: int
    tokenizer_sha256: str
    bos: int
    pad: int
    split: str

    @property
    def itemsize(self) -> int:
        """Bytes per token."""
        return np.dtype(self.dtype).itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes per row of `seq_len` tokens."""
        return self.itemsize * self.seq_len


def document_index_schema() -> Any:
    """Return the schema of a tokenize artifact's documents.parquet: where each document lies in its split's stream.

    Document i of split s is `TokenDataset(artifact, s).tokens(first_token, first_token + n_tokens)`, its BOS included.
    """
    import pyarrow as pa

    fields = [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("first_token", pa.int64(), nullable=False),
        pa.field("n_tokens", pa.int64(), nullable=False),
        pa.field("n_bytes", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("text_digest", pa.binary(16)),  # XXH3 of the text in UTF-8: shows a later run that it is unchanged
    ]
    return pa.schema(fields)


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the smallest little-endian unsigned type that holds every id: 2 bytes up to 65,536 ids, else 4."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class TokenShardWriter:
    """Write one shard: `append` runs of ids, then `close`; the file appears under its name only when it is whole.

    The bytes depend on the tokens alone, never on how they were split into appends.
    """

    def __init__(
        self,
        path: Path,
        *,
        split: str,
        seq_len: int,
        vocab_size: int,
        tokenizer_sha256: str,
        bos: int,
        pad: int,
    ) -> None:
        self.path = path
        self._dtype = token_dtype(vocab_size)
        self._info = ShardInfo(
            n_tokens=0,
            n_bos=0,
            max_id=-1,
            seq_len=seq_len,
            dtype=self._dtype.name,
            vocab_size=vocab_size,
            tokenizer_sha256=tokenizer_sha256,
            bos=bos,
            pad=pad,
            split=split,
        )
        self._group = np.empty(ROWS_PER_GROUP * seq_len, dtype=self._dtype)
        self._filled = 0
        self._n_tokens, self._n_bos, self._max_id = 0, 0, -1
        self._whole = contextlib.ExitStack()  # the open file
        self._writer: Any = None

    def append(self, ids: Sequence[int] | np.ndarray) -> None:
        """Add ids to the end of the stream; raises ValueError if one is outside the vocabulary."""
        if not len(ids):
            return
        given = np.asarray(ids)
        low = 0 if given.dtype.kind == "u" else int(given.min())
        high = int(given.max())
        if low < 0 or high >= self._info.vocab_size:
            wrong = low if low < 0 else high
            raise ValueError(f"Id {wrong} for {self.path} is outside the vocabulary of {self._info.vocab_size} ids.")
        self._n_tokens += len(given)
        self._max_id = max(self._max_id, high)
        while len(given):
            room = len(self._group) - self._filled
            part, given = given[:room], given[room:]
            place = self._group[self._filled : self._filled + len(part)]
            place[:] = part
            self._n_bos += int(np.count_nonzero(place == self._info.bos))
            self._filled += len(part)
            if self._filled == len(self._group):
                self._flush()

    def close(self) -> ShardInfo:
        """Pad the last row, write the metadata, and give the file its final name."""
        info = replace(self._info, n_tokens=self._n_tokens, n_bos=self._n_bos, max_id=self._max_id)
        if self._filled:
            rows = -(-self._filled // info.seq_len)
            self._group[self._filled : rows * info.seq_len] = info.pad
            self._filled = rows * info.seq_len
            self._flush()
        self._open().add_key_value_metadata({METADATA_KEY.decode(): json.dumps(asdict(info), sort_keys=True)})
        self._writer.close()
        self._whole.close()
        return info

    def __enter__(self) -> TokenShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            with contextlib.suppress(OSError):  # of a full disk
                self._writer.close()
            self._whole.__exit__(kind, error, trace)

    def _open(self) -> Any:
        if self._writer is None:
            import pyarrow as pa
            import pyarrow.parquet as pq

            row_bytes = self._info.row_bytes
            schema = pa.schema([pa.field(COLUMN, pa.binary(row_bytes), nullable=False)])
            self._writer = pq.ParquetWriter(
                self._whole.enter_context(whole_file(self.path)),
                schema,
                compression="none",
                use_dictionary=False,
                write_statistics=False,
                column_encoding="PLAIN",
                data_page_size=2 * ROWS_PER_GROUP * row_bytes,  # a row group is one page
                write_batch_size=ROWS_PER_GROUP,
                write_page_checksum=True,  # lets `check_shard` detect a flipped bit
            )
        return self._writer

    def _flush(self) -> None:
        import pyarrow as pa

        writer = self._open()
        row_bytes = self._info.row_bytes
        tokens = self._group[: self._filled]
        rows = tokens.nbytes // row_bytes
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(row_bytes), rows, [None, pa.py_buffer(tokens)])
        writer.write_table(pa.table([column], schema=writer.schema), row_group_size=ROWS_PER_GROUP)
        self._filled = 0


def read_shard_info(path: Path) -> ShardInfo:
    """Read a shard's metadata from its footer; raises TokenShardError if it is not a complete token shard."""
    return _info_of(open_shard(path), path)


def open_shard(path: Path) -> Any:
    """Open a shard with checksums verified on every page read; raises TokenShardError if the footer is bad."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        sentence = f"{path} is not a readable token shard: {error}. Build the tokenize stage again."
        raise TokenShardError(sentence) from error


def check_shard(path: Path) -> ShardInfo:
    """Read a shard from end to end and compare checksums, rows, ids, documents and padding with its metadata.

    Raises TokenShardError, with the reason, if anything is wrong.
    """
    shard = open_shard(path)
    info = _info_of(shard, path)
    try:
        tokens = np.concatenate([np.empty(0, info.dtype), *(read_group(shard, i, info) for i in _groups(shard))])
    except OSError as error:
        raise TokenShardError(f"{path} is damaged: {error}. Build the tokenize stage again.") from error
    if len(tokens) - info.n_tokens not in range(info.seq_len):
        raise TokenShardError(f"{path} holds {len(tokens)} tokens with padding, but its metadata says {info.n_tokens}.")
    tokens, padding = tokens[: info.n_tokens], tokens[info.n_tokens :]
    if np.any(padding != info.pad):
        raise TokenShardError(f"{path} does not end in padding after its {info.n_tokens} tokens.")
    max_id = int(tokens.max()) if len(tokens) else -1
    if max_id != info.max_id or max_id >= info.vocab_size:
        raise TokenShardError(
            f"The largest id in {path} is {max_id}; its metadata says {info.max_id}, "
            f"and its vocabulary has {info.vocab_size} ids."
        )
    if (n_bos := int(np.count_nonzero(tokens == info.bos))) != info.n_bos:
        raise TokenShardError(f"{path} holds {n_bos} documents, but its metadata says {info.n_bos}.")
    return info


def read_group(shard: Any, group: int, info: ShardInfo) -> np.ndarray:
    """Read one row group through pyarrow: its tokens, flat, with the padding of the last row."""
    column = shard.read_row_group(group, columns=[COLUMN]).column(0).combine_chunks()
    start = column.offset * info.row_bytes
    data = memoryview(column.buffers()[1])[start : start + len(column) * info.row_bytes]
    return np.frombuffer(data, dtype=info.dtype)


def _groups(shard: Any) -> range:
    return range(shard.metadata.num_row_groups)


def _info_of(shard: Any, path: Path) -> ShardInfo:
    metadata = shard.metadata.metadata or {}
    if METADATA_KEY not in metadata:
        raise TokenShardError(f"{path} is Parquet but no token shard: its metadata has no {METADATA_KEY.decode()!r}.")
    try:
        info = ShardInfo(**json.loads(metadata[METADATA_KEY]))
    except (TypeError, ValueError) as error:
        raise TokenShardError(f"{path} has metadata that this version cannot read: {error}.") from error
    rows = -(-info.n_tokens // info.seq_len)
    if shard.metadata.num_rows != rows:
        raise TokenShardError(f"{path} has {shard.metadata.num_rows} rows, but {info.n_tokens} tokens need {rows}.")
    return info
