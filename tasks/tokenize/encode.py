"""Encode one shard of documents into one token shard per split and a piece of the document index."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_lake.documents import shard_path, split_of, write_parquet
from data_lake.tokens import TokenShardWriter, check_shard, document_index_schema
from model.tokenizer import Tokenizer

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class EncodeJob:
    """Which shard to encode with which tokenizer, and where the results go."""

    documents: Path
    tokenizer: Path
    folder: Path
    index: Path
    number: int
    seq_len: int
    val: float
    test: float


def encode_shard(job: EncodeJob) -> int:
    """Write `folder/{train,val,test}/part-<number>.parquet` and `index/part-<number>.parquet`; return the documents.

    Each document is BOS and then its text, encoded as ordinary letters: a special token's name in a web page stays
    text. The index comes last, after the token shards were read back whole: where it lies, the shard is done.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tokenizer = Tokenizer.load(job.tokenizer)
    schema = document_index_schema()
    names = ["doc_id", "url", "source", "n_bytes", "text"]
    pieces = [schema.empty_table()]
    written = dict.fromkeys(SPLITS, 0)
    paths = {split: shard_path(job.folder / split, job.number) for split in SPLITS}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_writer(path, split, job, tokenizer)) for split, path in paths.items()}
        file = stack.enter_context(pq.ParquetFile(shard_path(job.documents, job.number)))
        for batch in file.iter_batches(batch_size=256, columns=names):
            rows: list[dict[str, Any]] = []
            for row in batch.to_pylist():
                split = split_of(row["doc_id"], job.val, job.test)
                ids = [tokenizer.bos, *tokenizer.encode(row.pop("text"))]
                writers[split].append(ids)
                rows.append({**row, "split": split, "first_token": written[split], "n_tokens": len(ids)})
                written[split] += len(ids)
            pieces.append(pa.Table.from_pylist(rows, schema=schema))
    for path in paths.values():
        check_shard(path)
    table = pa.concat_tables(pieces)
    write_parquet(shard_path(job.index, job.number), table)
    return int(table.num_rows)


def _writer(path: Path, split: str, job: EncodeJob, tokenizer: Tokenizer) -> TokenShardWriter:
    return TokenShardWriter(
        path,
        split=split,
        seq_len=job.seq_len,
        vocab_size=tokenizer.vocab_size,
        tokenizer_sha256=tokenizer.sha256,
        bos=tokenizer.bos,
        pad=tokenizer.pad,
    )
