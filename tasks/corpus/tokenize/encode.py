"""Encode one shard of documents into one token shard per split and a piece of the document index."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.store.files import write_whole
from data_lake.tables.arrow_columns import text_digests
from data_lake.tables.documents import SPLITS, shard_path, write_parquet
from data_lake.tokens.shards import TokenShardWriter, check_shard, document_index_schema
from model.tokenizer import DESCRIPTION_FILE, Tokenizer
from tasks.corpus.tokenize.reuse import Reusable


@dataclass(frozen=True)
class EncodeJob:
    """The shard to encode, the tokenizer, the output folders, and an earlier artifact to take tokens from, if any."""

    documents: Path
    tokenizer: Path
    folder: Path
    index: Path
    number: int
    seq_len: int
    reuse_from: Path | None = None

    @property
    def reused(self) -> Path:
        """The file that holds the number of documents taken from the earlier artifact."""
        return shard_path(self.index, self.number).with_suffix(".reused")


def encode_shard(job: EncodeJob) -> int:
    """Write `folder/{train,val,test}/part-<number>.parquet` and `index/part-<number>.parquet`; return how many.

    Each document becomes BOS and then its text. The text is encoded without special tokens: the name of a special
    token on a web page stays text. The index is written last, after the token shards were read back in full: if the
    index exists, the shard is done.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tokenizer = _loaded(job.tokenizer, (job.tokenizer / DESCRIPTION_FILE).stat().st_mtime_ns)
    bos = np.array([tokenizer.bos], dtype=np.uint32)
    schema = document_index_schema()
    copied = ["doc_id", "url", "source", "n_bytes", "split"]
    pieces = [schema.empty_table()]
    written: dict[str, int] = dict.fromkeys(SPLITS, 0)
    reused = 0
    paths: dict[str, Path] = {split: shard_path(job.folder / split, job.number) for split in SPLITS}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(_writer(path, split, job, tokenizer)) for split, path in paths.items()}
        file = stack.enter_context(pq.ParquetFile(shard_path(job.documents, job.number)))
        ids_in_shard = file.read(["doc_id"])["doc_id"].to_pylist() if job.reuse_from is not None else []
        reusable = Reusable(job.reuse_from, tokenizer.sha256, ids_in_shard)
        for batch in file.iter_batches(batch_size=256, columns=[*copied, "text"]):
            texts = batch["text"]
            columns: dict[str, Any] = {"first_token": [], "n_tokens": [], "text_digest": text_digests(texts)}
            tokens: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
            ids = zip(batch["doc_id"].to_pylist(), batch["split"].to_pylist(), columns["text_digest"], strict=True)
            for text, (doc_id, split, digest) in zip(texts, ids, strict=True):
                found = reusable.tokens(doc_id, digest)
                parts = [bos, tokenizer.encode_array(text.as_py())] if found is None else [found]
                reused += found is not None
                tokens[split] += parts
                length = sum(map(len, parts))
                columns["first_token"].append(written[split])
                columns["n_tokens"].append(length)
                written[split] += length
            for split, of_batch in tokens.items():
                writers[split].append(np.concatenate(of_batch) if of_batch else [])
            columns |= {name: batch[name] for name in copied}
            pieces.append(pa.table({name: columns[name] for name in schema.names}, schema=schema))
    for path in paths.values():
        check_shard(path)
    table = pa.concat_tables(pieces)
    write_whole(job.reused, str(reused))
    write_parquet(shard_path(job.index, job.number), table)
    return int(table.num_rows)


@functools.lru_cache(maxsize=1)
def _loaded(folder: Path, changed: int) -> Tokenizer:
    """Load a tokenizer once per process: building its tables takes as long as 3 % of a shard of 6 MB."""
    return Tokenizer.load(folder)


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
