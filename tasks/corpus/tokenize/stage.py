"""The tokenize stage: encodes documents and arranges their tokens for training, split by split."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from data_lake.reading.ledger import Amount, Ledger
from data_lake.tables.documents import SPLITS, shard_path, shards, write_parquet
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.shards import read_shard_info
from tasks.corpus.tokenize.encode import EncodeJob, encode_shard
from tasks.stage import Artifact, Execution, Output, StageConfig, figures, kinds, stage
from tasks.stage.workers import map_shards, workers_for

if TYPE_CHECKING:
    import pyarrow as pa


class TokenizeConfig(StageConfig):
    """How tokens are arranged. Which documents are held out is set by decontaminate's `split`."""

    seq_len: int = Field(
        1024, ge=8, le=1 << 17, description="Tokens per row and per training window; training may choose another length"
    )
    workers: int = Execution(
        0, ge=0, description="Processes that encode shards; 0 = chosen by cores and size of the corpus"
    )


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that there are tokens, ids are in the vocabulary, documents have one BOS each, and shards one tokenizer."""
    import pyarrow.parquet as pq

    counts = artifact.counts
    identities = set()
    documents = 0
    for split in SPLITS:
        infos = [read_shard_info(path) for path in shards(artifact.path / split)]
        identities |= {info.tokenizer_sha256 for info in infos}
        documents += sum(info.n_bos for info in infos)
        tokens = sum(info.n_tokens for info in infos)
        if tokens != counts[f"{split}_tokens"]:
            yield f"{split}/ has {tokens:,} tokens, but the stage counted {counts[f'{split}_tokens']:,}."
        if split == "train" and not tokens:
            yield "There is no token to train on; the corpus is empty, or decontaminate.split holds out all of it."
        for info in infos:
            if info.max_id >= info.vocab_size:
                yield f"{split}/ has id {info.max_id}, but the vocabulary ends at {info.vocab_size - 1}."
    if len(identities) > 1:
        yield f"The shards were made with {len(identities)} different tokenizers."
    rows = pq.read_metadata(artifact.path / "documents.parquet").num_rows
    if not documents == rows == counts["documents"]:
        yield (
            f"{counts['documents']:,} documents came in, documents.parquet has {rows:,}, "
            f"and {documents:,} of them begin in the token shards; each must begin exactly once."
        )


@stage(
    makes=kinds.Tokens,
    version=1,
    contract=contract,
    reuses=True,
)
def tokenize(config: TokenizeConfig, out: Output, corpus: kinds.Corpus, tokenizer: kinds.Tokenizer) -> None:
    """Write train/, val/ and test/ token shards and documents.parquet, the index of each document's position.

    `bytes_per_token` is the average number of bytes of text per token, `tokens_per_second` the speed of the encoding,
    and `documents_reused` the number of documents whose tokens were taken from the previous build.
    """
    documents, pieces = corpus.path / "documents", out.work / "index"
    count = len(shards(documents))
    reuse_from = out.reuse_from.path if out.reuse_from is not None else None
    every = [
        EncodeJob(documents, tokenizer.path, out.dir, pieces, number, config.seq_len, reuse_from)
        for number in range(count)
    ]
    jobs = [job for job in every if not shard_path(pieces, job.number).exists()]
    done, began = count - len(jobs), time.perf_counter()
    for _ in map_shards(encode_shard, jobs, workers=workers_for(shards(documents), config.workers)):
        done += 1
        out.progress(done, count, "shards", "encoded")
    seconds = time.perf_counter() - began
    out.metric(documents_reused=sum(int(job.reused.read_text()) for job in every))

    index = _merge_index(out.dir, pieces)
    write_parquet(out.dir / "documents.parquet", index)
    _report(out, corpus, index, seconds if jobs else None)


def _merge_index(folder: Path, pieces: Path) -> pa.Table:
    """Merge the shards' indexes: `first_token` then counts from the start of the split instead of the shard."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    before: dict[str, int] = dict.fromkeys(SPLITS, 0)
    tables = []
    for number, path in enumerate(shards(pieces)):
        table = pq.read_table(path)
        starts = pc.index_in(table["split"], pa.array(SPLITS))
        shift = pc.take(pa.array([before[split] for split in SPLITS], pa.int64()), starts)
        place = table.schema.get_field_index("first_token")
        tables.append(table.set_column(place, table.schema.field(place), pc.add(table["first_token"], shift)))
        for split in SPLITS:
            before[split] += read_shard_info(shard_path(folder / split, number)).n_tokens
    return pa.concat_tables(tables)


def _report(out: Output, corpus: Artifact, index: pa.Table, seconds: float | None) -> None:
    """Count tokens, documents and windows; account for every token."""
    import pyarrow.compute as pc

    tokens, n_bytes = int(pc.sum(index["n_tokens"]).as_py() or 0), int(pc.sum(index["n_bytes"]).as_py() or 0)
    lengths = index["n_tokens"].to_pylist()
    for split in SPLITS:
        data = TokenDataset(out.dir, split)
        out.count(**{f"{split}_tokens": data.n_tokens, f"{split}_windows": len(data)})
        out.count(**{f"{split}_documents": int(pc.sum(pc.equal(index["split"], split)).as_py() or 0)})
        if not len(data):
            out.warning(f"Split {split} has {data.n_tokens} tokens, too few for one window of {data.seq_len} + 1.")
    out.count(documents=index.num_rows, tokens=tokens, bytes=n_bytes, longest_document=max(lengths, default=0))
    came = Amount(**corpus.manifest.ledger["kept"]) if corpus.manifest.ledger else Amount(index.num_rows, n_bytes)
    # this stage makes the tokens; which of them are in no window depends on the training, whose ledger says it
    made = Amount(index.num_rows, n_bytes, tokens)
    out.ledger(Ledger(incoming=Amount(came.documents, came.bytes, tokens), kept=made))
    out.figure("document_tokens", figures.histogram(lengths, "Lengths of documents", "tokens"))
    out.metric(
        bytes_per_token=n_bytes / tokens if tokens else None,
        tokens_per_second=tokens / seconds if seconds else None,
    )
