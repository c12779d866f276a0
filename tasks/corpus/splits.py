"""Splits: how many documents are held out, and reading the documents of a split from the corpus."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from data_lake.store.lake import Artifact
from data_lake.tables.documents import SPLITS, read_documents, shards
from tasks.stage.config import StageConfig


class SplitConfig(StageConfig):
    """How many documents are held out. This is decided before anything is learned: even the tokenizer must not see
    them."""

    val: float = Field(0.02, ge=0, lt=1, description="Fraction of documents held out to watch training")
    test: float = Field(0.02, ge=0, lt=1, description="Fraction of documents held out for the evaluation at the end")

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(
                f"val={self.val} and test={self.test} hold out every document; nothing is left to train on"
            )
        return self


@dataclass(frozen=True)
class SplitDocument:
    """A document of the corpus together with its split."""

    doc_id: str
    url: str | None
    source: str
    language: str | None
    title: str | None
    text: str
    n_bytes: int
    split: str


def word_key(text: str) -> str:
    """Return the words of a text, NFKC-normalised, case-folded and without punctuation; the text itself if it has none.

    Texts with the same key belong into the same split: what differs in case or punctuation only is no new question.
    """
    from data_lake.text.units import words

    return " ".join(words(unicodedata.normalize("NFKC", text).casefold())) or text


def documents_of(corpus: Path, splits: Collection[str]) -> Iterator[SplitDocument]:
    """Yield the documents of `splits` in the order of the corpus."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(splits), pa.string())
    for batch in read_documents(corpus, ["doc_id", "url", "source", "language", "title", "text", "n_bytes", "split"]):
        for row in batch.filter(pc.is_in(batch["split"], value_set=wanted)).to_pylist():
            yield SplitDocument(**row)


def count_splits(corpus: Path) -> dict[str, int]:
    """Return how many documents of the corpus have each split: each expected split, and any other that is found."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter(dict.fromkeys(SPLITS, 0))
    for path in shards(corpus / "documents"):
        for found in pc.value_counts(pq.read_table(path, columns=["split"])["split"]).to_pylist():
            counts[str(found["values"])] += found["counts"]
    return dict(counts)


def split_problems(corpus: Artifact) -> Iterator[str]:
    """Yield a sentence for each unexpected split, and for each split whose number of documents is not as counted."""
    for name, found in count_splits(corpus.path).items():
        if name not in SPLITS:
            yield f"{found:,} documents have the split {name!r}; there are {', '.join(SPLITS)}."
        elif found != corpus.counts[f"{name}_documents"]:
            counted = corpus.counts[f"{name}_documents"]
            yield f"{found:,} documents are in {name}, but the stage counted {counted:,}."


def pair_problems(artifact: Artifact, file: str) -> Iterator[str]:
    """Yield a sentence if a file of pairs has not as many to learn and to hold out as counted, or has none of one."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    splits = pq.read_table(artifact.path / file, columns=["split"])["split"]
    for split, name in (("train", "pairs"), ("val", "validation_pairs")):
        rows = pc.sum(pc.equal(splits, split)).as_py() or 0
        if rows != artifact.counts[name] or not rows:
            yield f"{file} has {rows:,} {split} pairs, the stage counted {artifact.counts[name]:,}; each needs some."
