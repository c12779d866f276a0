"""What dedup keeps of each document while it decides: ids, sizes, a digest and a signature, not the text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.documents import shard_path, shards, write_parquet
from data_lake.text_units import fold, shingle_hashes, word_hashes
from tasks.dedup import signatures

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class SignJob:
    """Sign one shard of documents: which file, into which folder, with which shingles and permutations."""

    documents: Path
    folder: Path
    number: int
    shingle_words: int
    permutations: int
    seed: int


@dataclass(frozen=True)
class Index:
    """All documents in the order of the input; document i is row `rows[i]` of shard `shard[i]`."""

    shard: np.ndarray
    row: np.ndarray
    doc_ids: list[str]
    urls: list[str | None]
    n_bytes: np.ndarray
    digests: list[bytes]
    n_shingles: np.ndarray
    signatures: np.ndarray

    def __len__(self) -> int:
        return len(self.doc_ids)


def sign_shard(job: SignJob) -> None:
    """Write folder/part-<number>.parquet: digest, number of shingles and signature of each document.

    The signature column holds the little-endian uint32 values that datasketch calls `hashvalues`, so signatures of one
    crawl can be compared with those of another without reading the text again.
    """
    import pyarrow as pa
    import xxhash

    params = signatures.permutations(job.permutations, job.seed)
    schema = pa.schema(
        [
            pa.field("doc_id", pa.string(), nullable=False),
            pa.field("url", pa.string()),
            pa.field("n_bytes", pa.int64(), nullable=False),
            pa.field("digest", pa.binary(16), nullable=False),
            pa.field("n_shingles", pa.int64(), nullable=False),
            pa.field("signature", pa.binary(4 * job.permutations), nullable=False),
        ],
        metadata={
            "scheme": "affine32",
            "seed": str(job.seed),
            "permutations": str(job.permutations),
            "shingle_words": str(job.shingle_words),
        },
    )
    tables, work = [schema.empty_table()], 0
    for batch in batches(job.documents, job.number, ["doc_id", "url", "n_bytes", "text"]):
        texts = batch.column("text").to_pylist()
        shingles, offsets = _shingles(texts, job.shingle_words)
        work += len(shingles) * job.permutations
        signed = signatures.signatures(shingles, offsets, params, compiled=work > signatures.COMPILE_FROM)
        columns = [
            batch.column("doc_id"),
            batch.column("url"),
            batch.column("n_bytes"),
            pa.array([xxhash.xxh3_128_digest(normal_form(text)) for text in texts], pa.binary(16)),
            pa.array(np.diff(offsets)),
            pa.array([row.tobytes() for row in signed.astype("<u4")], pa.binary(4 * job.permutations)),
        ]
        tables.append(pa.table(columns, schema=schema))
    write_parquet(shard_path(job.folder, job.number), pa.concat_tables(tables))


def read_index(folder: Path) -> Index:
    """Read what `sign_shard` wrote for all shards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in shards(folder)]
    table = pa.concat_tables(tables)
    width = table.schema.field("signature").type.byte_width // 4
    signed = [_values(chunk, width) for chunk in table.column("signature").chunks]
    return Index(
        shard=np.repeat(np.arange(len(tables)), [len(part) for part in tables]),
        row=np.concatenate([np.arange(len(part)) for part in tables]),
        doc_ids=table.column("doc_id").to_pylist(),
        urls=table.column("url").to_pylist(),
        n_bytes=table.column("n_bytes").to_numpy(),
        digests=table.column("digest").to_pylist(),
        n_shingles=table.column("n_shingles").to_numpy(),
        signatures=np.concatenate([np.zeros((0, width), dtype="<u4"), *signed]),
    )


def shingle_sets(documents: Path, wanted: np.ndarray, shingle_words: int) -> dict[int, np.ndarray]:
    """Return the sorted distinct 64-bit shingle hashes of the documents whose numbers `wanted` (bool[n]) marks."""
    sets: dict[int, np.ndarray] = {}
    first = 0
    for number in range(len(shards(documents))):
        for batch in batches(documents, number, ["text"]):
            chosen = first + np.flatnonzero(wanted[first : first + batch.num_rows])
            texts = batch.column("text").take(_arrow(chosen - first)).to_pylist()
            shingles, offsets = shingle_hashes(*word_hashes([fold(text) for text in texts]), shingle_words)
            for k, i in enumerate(chosen.tolist()):
                sets[i] = np.unique(shingles[offsets[k] : offsets[k + 1]])
            first += batch.num_rows
    return sets


def batches(documents: Path, number: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one shard, a thousand at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(shard_path(documents, number)) as file:
        yield from file.iter_batches(batch_size=1024, columns=columns)


def normal_form(text: str) -> bytes:
    """Return what exact duplicates have in common: composed characters, runs of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split()).encode("utf-8", "surrogatepass")


def _shingles(texts: Sequence[str], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 32-bit shingle hashes, the input of signatures, and where each text's begin."""
    shingles, offsets = shingle_hashes(*word_hashes([fold(text) for text in texts]), n)
    return shingles.astype(np.uint32), offsets


def _values(chunk: pa.Array, width: int) -> np.ndarray:
    """Return a column of signatures as uint32[n, width], without a Python object per row."""
    if not len(chunk):
        return np.zeros((0, width), dtype="<u4")
    values = np.frombuffer(chunk.buffers()[1], dtype="<u4").reshape(-1, width)
    return values[chunk.offset : chunk.offset + len(chunk)]


def _arrow(numbers: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(numbers)
