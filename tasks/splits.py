"""Splits: which documents are held out, decided once by the decontaminate stage, and the documents of a split."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from data_lake.documents import read_documents
from data_lake.files import write_whole
from tasks.config import StageConfig

SPLIT_FILE = "split.json"


class SplitConfig(StageConfig):
    """How many documents are held out. Decided before anything is learned: the tokenizer must not see them either."""

    val: float = Field(0.02, ge=0, lt=1, description="Fraction of documents held out to watch training")
    test: float = Field(0.02, ge=0, lt=1, description="Fraction of documents held out for the evaluation at the end")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(
                f"val={self.val} and test={self.test} hold out every document; nothing is left to train on"
            )
        return self


def write_split(artifact: Path, split: SplitConfig) -> None:
    """Write down how documents are held out, for every stage that comes later."""
    write_whole(artifact / SPLIT_FILE, json.dumps(split.model_dump(), sort_keys=True) + "\n")


def read_split(artifact: Path) -> SplitConfig:
    """Return how a decontaminate artifact holds documents out; everything later must do the same."""
    return SplitConfig.model_validate_json((artifact / SPLIT_FILE).read_bytes())


@dataclass(frozen=True)
class SplitDocument:
    """A document together with the split that the tokenize stage put it into."""

    doc_id: str
    url: str | None
    title: str | None
    text: str
    n_bytes: int
    split: str


def documents_of(decontaminate: Path, tokenize: Path, splits: Collection[str]) -> Iterator[SplitDocument]:
    """Yield the documents of `splits` in the corpus's order.

    The index is what training really held out: deciding the split a second time here could disagree with it.
    """
    import pyarrow.parquet as pq

    index = pq.read_table(tokenize / "documents.parquet", columns=["doc_id", "split"])
    split_by_id = dict(zip(index.column("doc_id").to_pylist(), index.column("split").to_pylist(), strict=True))
    for batch in read_documents(decontaminate, ["doc_id", "url", "title", "text", "n_bytes"]):
        for row in batch.to_pylist():
            split = split_by_id[row["doc_id"]]
            if split in splits:
                yield SplitDocument(split=split, **row)
