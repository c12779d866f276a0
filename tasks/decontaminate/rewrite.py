"""Write one shard of the corpus as it is after decontamination: documents, what was removed, and what was found."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.documents import shard_path, split_of, write_parquet
from data_lake.files import whole_file
from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.passages import JOIN, Passage, cut, passages

SAMPLE_CHARACTERS = 1000


@dataclass(frozen=True)
class Evidence:
    """Hits in the documents of a shard that count, sorted by row, item and place; and the items that they are of.

    weight: of how many of its item's n-grams each is. names: number of an item -> (benchmark, name, number of its
    n-grams), for those that occur here.
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
    """A shard, what was found in it, and which of its documents overlap with training too much: row -> share."""

    documents: Path
    number: int
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
    """Write documents/, removed/ and the shard's piece of contamination.parquet; the last one says that it is done."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.schemas import CONTAMINATION, DOCUMENTS, REMOVED

    source, target = shard_path(job.documents, job.number), shard_path(job.folder / "documents", job.number)
    found = _by_document(job.evidence)
    removed: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    if not found and not job.overlapping:
        _copy(source, target)
    else:
        kept = [DOCUMENTS.empty_table()]
        first = 0
        with pq.ParquetFile(source) as file:
            for batch in file.iter_batches(batch_size=1024):
                documents = batch.to_pylist()
                left = []
                for row, document in enumerate(documents, first):
                    gone = _decide(job, document, found.get(row, []), job.overlapping.get(row), rows)
                    if gone is None:
                        left.append(document)
                    else:
                        removed.append(gone)
                kept.append(pa.Table.from_pylist(left, schema=DOCUMENTS))
                first += batch.num_rows
        write_parquet(target, pa.concat_tables(kept))
    write_parquet(shard_path(job.folder / "removed", job.number), pa.Table.from_pylist(removed, schema=REMOVED))
    write_parquet(shard_path(job.pieces, job.number), pa.Table.from_pylist(rows, schema=CONTAMINATION))


def _decide(
    job: RewriteJob,
    document: dict[str, Any],
    found: list[Found],
    overlap: float | None,
    rows: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Cut the document's text in place where that is asked; return its row of `removed` if it has to go.

    Adds what was found to `rows`. Documents that are held out stay as they are: nothing is learned from them.
    """
    config, text = job.config, document["text"]
    split = split_of(document["doc_id"], config.split.val, config.split.test)
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
    """Return row -> what it shares with each item."""
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


def _copy(source: Path, target: Path) -> None:
    """Copy a shard that stays as it is: the same bytes, and a hundred times as fast as writing it again."""
    with open(source, "rb") as before, whole_file(target) as after:
        shutil.copyfileobj(before, after, 1 << 22)
