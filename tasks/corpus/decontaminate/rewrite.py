"""Write one shard of the corpus after decontamination: documents, what was removed, and what was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.tables.documents import shard_path, write_parquet, write_tables
from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.passages import JOIN, Passage, cut, passages
from tasks.corpus.decontaminate.reuse import read_splits

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_CHARACTERS = 1000
ROW_GROUP_BYTES = 16 << 20


@dataclass(frozen=True)
class Evidence:
    """The hits that count in the documents of a shard, sorted by row, item and place; and the items they belong to.

    weight: how many of its item's n-grams each hit stands for. names: number of an item -> (benchmark, name, number of
    its n-grams), for the items that occur here.
    """

    row: np.ndarray
    item: np.ndarray
    entry: np.ndarray
    weight: np.ndarray
    length: np.ndarray
    place: np.ndarray
    start: np.ndarray
    end: np.ndarray
    names: Mapping[int, tuple[str, str, int]]


@dataclass(frozen=True)
class RewriteJob:
    """A shard, what was found in it, and which of its documents overlap with training too much: row -> share.

    texts: the folder that says which split each document has.
    """

    documents: Path
    number: int
    texts: Path
    folder: Path
    pieces: Path
    config: DecontaminateConfig
    evidence: Evidence
    overlapping: Mapping[int, float]


@dataclass(frozen=True)
class Found:
    """What a document shares with one item."""

    benchmark: str
    item: str
    fraction: float
    passages: list[Passage]


def rewrite_shard(job: RewriteJob) -> None:
    """Write documents/, removed/ and the shard's part of contamination.parquet, which is last and marks it as done."""
    import pyarrow as pa

    from data_lake.tables.schemas import CONTAMINATION, CORPUS, REMOVED

    removed: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    kept = _kept(job, removed, rows)
    write_tables(shard_path(job.folder / "documents", job.number), CORPUS, kept, row_group_bytes=ROW_GROUP_BYTES)
    write_parquet(shard_path(job.folder / "removed", job.number), pa.Table.from_pylist(removed, schema=REMOVED))
    write_parquet(shard_path(job.pieces, job.number), pa.Table.from_pylist(rows, schema=CONTAMINATION))


def _kept(job: RewriteJob, removed: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Iterator[pa.Table]:
    """Yield the kept documents with their splits; add the others to `removed`, and what was found to `rows`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.tables.schemas import CORPUS, DOCUMENTS

    found = _by_document(job.evidence)
    touched = np.array(sorted({*found, *job.overlapping}), dtype=np.int64)
    splits = read_splits(shard_path(job.texts, job.number))
    first = 0
    with pq.ParquetFile(shard_path(job.documents, job.number)) as file:
        for batch in file.iter_batches(batch_size=256, columns=DOCUMENTS.names):
            given = pa.Table.from_batches([batch]).select(DOCUMENTS.names)
            table = given.append_column(CORPUS.field("split"), splits.slice(first, batch.num_rows))
            low, high = np.searchsorted(touched, [first, first + batch.num_rows])
            if low < high:  # otherwise its rows need not become Python objects
                left = []
                for row, document in enumerate(table.to_pylist(), first):
                    removal = _decide(job, document, found.get(row, []), job.overlapping.get(row), rows)
                    if removal is None:
                        left.append(document)
                    else:
                        removed.append(removal)
                table = pa.Table.from_pylist(left, schema=CORPUS)
            yield table
            first += batch.num_rows


def _decide(
    job: RewriteJob,
    document: dict[str, Any],
    found: list[Found],
    overlap: float | None,
    rows: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Cut the document's text in place if the config asks for it; return its row of `removed` if it is removed.

    Adds what was found to `rows`. Held-out documents are not cut, because nothing is learned from them.
    """
    config, text, split = job.config, document["text"], document["split"]
    action, reason = "reported", None
    if found and split == "train" and config.action != "report":
        action, reason = "dropped", "contaminated"
        if config.action == "cut":
            spans = [(passage.start, passage.end) for one in found for passage in one.passages]
            pieces = cut(text, spans, config.cut)
            if pieces is None:
                reason = "contaminated_in_too_many_places"
            elif pieces:
                action, reason = "cut", None
                document["text"] = JOIN.join(pieces)
                document["n_bytes"] = len(document["text"].encode())
    for one in found:
        rows += [
            {
                "benchmark": one.benchmark,
                "item": one.item,
                "doc_id": document["doc_id"],
                "url": document["url"],
                "source": document["source"],
                "split": split,
                "text": text[passage.start : passage.end],
                "words": passage.words,
                "fraction": one.fraction,
                "action": action,
            }
            for passage in one.passages
        ]
    if reason is None and overlap is None:
        return None
    worst = max(found, key=lambda one: one.fraction) if reason else None
    return {
        "doc_id": document["doc_id"],
        "url": document["url"],
        "source": document["source"],
        "reason": reason or "stands_in_training",
        "value": worst.fraction if worst else overlap,
        "threshold": config.detection.min_share if worst else config.overlap.share,
        "detail": f"{worst.benchmark} {worst.item}" if worst else f"held out for {split}",
        "text": text[:SAMPLE_CHARACTERS],
        "n_bytes": document["n_bytes"],
    }


def _by_document(evidence: Evidence) -> dict[int, list[Found]]:
    """Return a dict: row of a document -> what it shares with each item."""
    found: defaultdict[int, list[Found]] = defaultdict(list)
    changes = np.flatnonzero((np.diff(evidence.row) != 0) | (np.diff(evidence.item) != 0)) + 1
    bounds = [0, *changes.tolist(), len(evidence.row)] if len(evidence.row) else []
    for begin, stop in pairwise(bounds):
        benchmark, name, ngrams = evidence.names[int(evidence.item[begin])]
        columns = (evidence.place, evidence.length, evidence.start, evidence.end)
        runs = passages(zip(*(column[begin:stop].tolist() for column in columns), strict=True))
        distinct = np.unique(evidence.entry[begin:stop], return_index=True)[1]
        share = min(1.0, int(evidence.weight[begin:stop][distinct].sum()) / ngrams)
        found[int(evidence.row[begin])].append(Found(benchmark, name, share, runs))
    return dict(found)
