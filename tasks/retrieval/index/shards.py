"""From a shard of documents to its passages, with what says which passages are the same, and their terms."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_lake.reading.ledger import Tally
from data_lake.tables.documents import shard_path, shards, write_tables
from data_lake.text.terms import terms, with_terms
from tasks.retrieval.index.passages import cut

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

GROUP_BYTES = 256 << 10
"""Of the groups that passages are stored in: a question reads those of some rows only."""
NO_WORDS, REPEATED = "no_words", "repeated"
_COPIED = ("doc_id", "url", "source", "fetched_at", "title", "date", "split")


@dataclass(frozen=True)
class CutJob:
    """One shard of the corpus, and the folder for its passages."""

    documents: Path
    number: int
    out: Path
    words: int
    characters: int


def cut_shard(job: CutJob) -> None:
    """Write all passages of a shard: those of schemas.INDEXED with `digest` and `terms`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.tables.schemas import INDEXED

    schema = INDEXED.append(pa.field("digest", pa.binary(16))).append(pa.field("terms", pa.large_string()))

    def tables() -> Iterator[pa.Table]:
        with pq.ParquetFile(shards(job.documents)[job.number]) as file:
            for batch in file.iter_batches(batch_size=256, columns=[*_COPIED, "text"]):
                rows = [row for document in batch.to_pylist() for row in _passages(document, job)]
                yield pa.Table.from_pylist(rows, schema=schema)

    write_tables(shard_path(job.out, job.number), schema, tables())


def _passages(document: dict[str, object], job: CutJob) -> Iterator[dict[str, object]]:
    """Yield the passages of a document. The title's words find each of them: it says what the page is about."""
    import xxhash

    text, title = str(document.pop("text")), str(document["title"] or "")
    of_title = terms(title)
    for start, end, count in cut(text, job.words, job.characters):
        passage = text[start:end]
        found = list(with_terms(passage))
        yield {
            **document,
            "start": start,
            "end": end,
            "words": count,
            "text": passage,
            "n_bytes": len(passage.encode()),
            "digest": xxhash.xxh3_128_digest(" ".join(word for word, _ in found).encode()),
            "terms": " ".join([*(term for word, others in found for term in (word, *others)), *of_title]),
        }


class Choice:
    """Decides, shard after shard, which passages are indexed: those with words that no earlier one has just so."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.tally = Tally("passages")

    def of(self, table: pa.Table) -> list[str | None]:
        """Return why each passage of the next shard is left out; None = it is indexed."""
        reasons: list[str | None] = []
        for digest, count, size in zip(
            *(table[name].to_pylist() for name in ("digest", "words", "n_bytes")), strict=True
        ):
            reason = NO_WORDS if not count else REPEATED if digest in self._seen else None
            self._seen.add(digest)
            reasons.append(reason)
            if reason is None:
                self.tally.keep(size)
            else:
                self.tally.remove(reason, size)
        return reasons


def write_chosen(table: pa.Table, reasons: list[str | None], folder: Path, number: int) -> None:
    """Write a shard's passages as passages/, and those that are left out as removed/ with their reasons."""
    import pyarrow as pa

    from data_lake.tables.documents import write_parquet
    from data_lake.tables.schemas import INDEXED, REMOVED

    left_out = np.array([reason is not None for reason in reasons], dtype=bool)
    kept = table.filter(pa.array(~left_out)).select(INDEXED.names)
    write_parquet(shard_path(folder / "passages", number), kept, row_group_bytes=GROUP_BYTES)
    rows = [
        {name: row[name] for name in ("doc_id", "url", "source", "text", "n_bytes")} | {"reason": reason}
        for row, reason in zip(table.filter(pa.array(left_out)).to_pylist(), filter(None, reasons), strict=True)
    ]
    write_parquet(shard_path(folder / "removed", number), pa.Table.from_pylist(rows, schema=REMOVED))
