"""Scan one shard: where benchmark n-grams stand in it, and which held-out n-grams its training texts have."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.documents import shard_path, split_of, write_parquet
from data_lake.files import write_whole
from tasks.decontaminate.config import DetectionConfig
from tasks.decontaminate.index import HashTable, NgramIndex, Words
from tasks.decontaminate.items import Item
from tasks.splits import SplitConfig

BATCH_ROWS = 256


@dataclass(frozen=True)
class ScanJob:
    """A shard of documents, what to look for in it, and the folder of the results."""

    documents: Path
    number: int
    results: Path
    items: Path
    held_out: Path
    detection: DetectionConfig
    split: SplitConfig


@functools.lru_cache(maxsize=1)
def load_index(items: Path, words: int, shortest: int) -> NgramIndex:
    """Return the index of the items in a file, once in each process."""
    return NgramIndex([Item(**item) for item in json.loads(items.read_text())], words, shortest)


@functools.lru_cache(maxsize=1)
def _held_out_table(path: Path) -> HashTable:
    return HashTable(np.load(path, mmap_mode="r"))


def write_items(path: Path, items: list[Item]) -> None:
    """Write items where the workers find them."""
    write_whole(path, json.dumps([asdict(item) for item in items]))


def held_out_ngrams(job: ScanJob) -> None:
    """Write results/held_out/part-<number>.parquet: each n-gram of each held-out document of a shard, once."""
    import pyarrow as pa

    rows, ngrams = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first, batch in _batches(job, ["doc_id", "text"]):
        held_out = [k for k, name in enumerate(batch["doc_id"].to_pylist()) if _split(job, name) != "train"]
        given = Words.of_column(batch["text"].take(pa.array(held_out, pa.int64())))
        hashes, owner = given.runs(job.detection.words)
        order = np.lexsort((hashes, owner))
        hashes, owner = hashes[order], owner[order]
        new = np.ones(len(hashes), dtype=bool)  # n-grams that a document repeats count once
        new[1:] = (np.diff(owner) != 0) | (hashes[1:] != hashes[:-1])
        rows.append(first + np.array(held_out, dtype=np.int64)[owner[new]])
        ngrams.append(hashes[new])
    table = pa.table({"row": np.concatenate(rows), "ngram": np.concatenate(ngrams)})
    write_parquet(shard_path(job.results / "held_out", job.number), table)


def scan_shard(job: ScanJob) -> None:
    """Write results/{hits,seen}/part-<number>.parquet; where the first of them lies, the shard is done.

    hits: places of benchmark n-grams, of documents of any split. seen: numbers of the held-out n-grams that the
    training documents of the shard have.
    """
    import pyarrow as pa

    index = load_index(job.items, job.detection.words, job.detection.shortest)
    table = _held_out_table(job.held_out)
    hits: dict[str, list[np.ndarray]] = {name: [] for name in ("row", "entry", "place", "start", "end")}
    seen = np.zeros(len(table.keys), dtype=bool)
    for first, batch in _batches(job, ["doc_id", "text"]):
        given = Words.of_column(batch["text"])
        if len(index):
            found = index.find(given)
            columns = (first + found.text, found.entry, found.place, found.start, found.end)
            for name, column in zip(hits, columns, strict=True):
                hits[name].append(column)
        if len(seen):
            train = np.array([_split(job, name) == "train" for name in batch["doc_id"].to_pylist()])
            hashes, owner = given.runs(job.detection.words)
            seen[table.find(hashes[train[owner]])[1]] = True
    write_parquet(shard_path(job.results / "seen", job.number), pa.table({"ngram": np.flatnonzero(seen)}))
    empty = np.empty(0, np.int64)
    merged = {name: np.concatenate([empty, *columns]) for name, columns in hits.items()}
    write_parquet(shard_path(job.results / "hits", job.number), pa.table(merged))


def _split(job: ScanJob, doc_id: str) -> str:
    return split_of(doc_id, job.split.val, job.split.test)


def _batches(job: ScanJob, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Yield (number of the first row, batch) of the shard."""
    import pyarrow.parquet as pq

    first = 0
    with pq.ParquetFile(shard_path(job.documents, job.number)) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            yield first, batch
            first += batch.num_rows
