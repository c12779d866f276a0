"""The documents of a split: texts from the dedup stage, splits from the tokenize stage's index."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_lake.documents import read_documents


@dataclass(frozen=True)
class SplitDocument:
    """A document together with the split that the tokenize stage put it into."""

    doc_id: str
    url: str | None
    title: str | None
    text: str
    n_bytes: int
    split: str


def documents_of(dedup: Path, tokenize: Path, splits: Collection[str]) -> Iterator[SplitDocument]:
    """Yield the documents of `splits` in the corpus's order.

    The index is what training really held out: deciding the split a second time here could disagree with it.
    """
    import pyarrow.parquet as pq

    index = pq.read_table(tokenize / "documents.parquet", columns=["doc_id", "split"])
    split_by_id = dict(zip(index.column("doc_id").to_pylist(), index.column("split").to_pylist(), strict=True))
    for batch in read_documents(dedup, ["doc_id", "url", "title", "text", "n_bytes"]):
        for row in batch.to_pylist():
            split = split_by_id[row["doc_id"]]
            if split in splits:
                yield SplitDocument(split=split, **row)
