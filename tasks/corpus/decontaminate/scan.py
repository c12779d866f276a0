"""Scanning one shard: where benchmark n-grams occur in it, and which held-out n-grams its training texts have."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.store.files import write_whole
from data_lake.tables.arrow_columns import fixed_values, text_digests
from data_lake.tables.documents import shard_path, split_of, write_parquet
from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.contamination.index import HashTable, NgramIndex, Words
from tasks.corpus.decontaminate.reuse import HELD_OUT, HITS, Reusable, are_training
from tasks.corpus.splits import SplitConfig

BATCH_ROWS = 256


@dataclass(frozen=True)
class ScanJob:
    """A shard of documents, what to look for in it, where the results go, and which earlier results to reuse."""

    documents: Path
    number: int
    work: Path
    scan: Path
    detection: DetectionConfig
    split: SplitConfig
    reuse_from: Path | None = None  # an artifact with the same config and benchmarks ...
    text_index: Path | None = None  # ... the index of its texts ...
    since: Path | None = None  # ... and the n-grams held out since then, which its texts were not searched for

    @property
    def items(self) -> Path:
        """The file with the items of all benchmarks."""
        return self.work / "items.json"

    @property
    def reused(self) -> Path:
        """The file with the number of documents that the earlier artifact had already scanned."""
        return self.work / "reused" / f"part-{self.number:05d}"


@functools.lru_cache(maxsize=1)
def load_index(items: Path, words: int, shortest: int) -> NgramIndex:
    """Return the index of the items in a file; built once per process."""
    return NgramIndex(
        [Item(**{**item, "choices": tuple(item["choices"])}) for item in json.loads(items.read_text())], words, shortest
    )


@functools.lru_cache(maxsize=2)
def _table(path: Path) -> HashTable:
    return HashTable(np.load(path, mmap_mode="r"))


def write_items(path: Path, items: list[Item]) -> None:
    """Write items to a file for the workers."""
    write_whole(path, json.dumps([vars(item) for item in items]))


def read_shard(job: ScanJob) -> None:
    """Write scan/texts/part-<number>.parquet, with the digest of each text and the split of its document, and
    work/held_out/part-<number>.parquet, with each n-gram of each held-out document once.

    The split of a document is decided only here; later steps read it from scan/texts.
    """
    import pyarrow as pa

    texts = [pa.table({"text_digest": pa.array([], pa.binary(16)), "split": pa.array([], pa.string())})]
    rows, ngrams = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first, batch in _batches(job, ["doc_id", "text"]):
        split = [split_of(name, job.split.val, job.split.test) for name in batch["doc_id"].to_pylist()]
        train = np.array(split) == "train"
        told = pa.array(text_digests(batch["text"]), pa.binary(16))
        texts.append(pa.table({"text_digest": told, "split": pa.array(split, pa.string())}))
        held_out = np.flatnonzero(~train)
        given = Words.of_column(batch["text"].take(pa.array(held_out)))
        hashes, owner = given.runs(job.detection.words)
        order = np.lexsort((hashes, owner))
        hashes, owner = hashes[order], owner[order]
        new = np.ones(len(hashes), dtype=bool)  # n-grams that a document repeats count once
        new[1:] = (np.diff(owner) != 0) | (hashes[1:] != hashes[:-1])
        rows.append(first + held_out[owner[new]])
        ngrams.append(hashes[new])
    write_parquet(shard_path(job.scan / "texts", job.number), pa.concat_tables(texts))
    table = pa.table({"row": np.concatenate(rows), "ngram": np.concatenate(ngrams)})
    write_parquet(shard_path(job.work / "held_out", job.number), table)


def scan_shard(job: ScanJob) -> None:
    """Write scan/{seen,hits}/part-<number>.parquet; once the second one exists, the shard is done.

    hits: places of benchmark n-grams in documents of any split. seen: row of a training document and number of a
    held-out n-gram that it contains. A text that an earlier artifact has is searched only for the n-grams that are held
    out since then.
    """
    import pyarrow as pa

    index = load_index(job.items, job.detection.words, job.detection.shortest)
    held_out = _table(job.scan / HELD_OUT)
    since = held_out if job.since is None else _table(job.since)
    digests, train = read_texts(job.scan, job.number)
    reusable = Reusable(job.reuse_from, job.text_index)
    shard, row = reusable.find(digests, train)
    hits, seen = [reusable.hits(shard, row)], [reusable.seen(shard, row)]
    new = shard < 0
    again = ~new & train & (len(since.keys) > 0)
    for first, batch in _batches(job, ["text"]) if (new | again).any() else ():
        here = slice(first, first + batch.num_rows)
        if len(rows := np.flatnonzero(new[here])):
            given = Words.of_column(batch["text"].take(pa.array(rows)))
            found = index.find(given)
            columns = (first + rows[found.text], found.entry, found.place, found.length, found.start, found.end)
            hits.append(dict(zip(HITS, columns, strict=True)))
            seen.append(_seen(given, first + rows, job.detection.words, held_out))
        if len(rows := np.flatnonzero(again[here])):
            given = Words.of_column(batch["text"].take(pa.array(rows)))
            seen.append(_seen(given, first + rows, job.detection.words, since))
    write_whole(job.reused, str(int((~new).sum())))
    _write_seen(job, held_out, train, *(np.concatenate(parts) for parts in zip(*seen, strict=True)))
    merged = {name: np.concatenate([columns[name] for columns in hits]) for name in HITS}
    order = np.argsort(merged["row"], kind="stable")
    table = pa.table({name: column[order] for name, column in merged.items()})
    write_parquet(shard_path(job.scan / "hits", job.number), table)


def read_texts(scan: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the digests of a shard's texts, uint64[n, 2], and which of them are training texts, bool[n]."""
    import pyarrow.parquet as pq

    path = shard_path(scan / "texts", number)
    digest = pq.read_table(path, columns=["text_digest"])["text_digest"].combine_chunks()
    return fixed_values(digest, "<u8"), are_training(path)


def _seen(given: Words, rows: np.ndarray, words: int, wanted: HashTable) -> tuple[np.ndarray, np.ndarray]:
    """Return the wanted n-grams that occur in texts: the row of the text, and the n-gram."""
    hashes, owner = given.runs(words)
    places, number = wanted.find(hashes)
    return rows[owner[places]], wanted.keys[number]


def _write_seen(job: ScanJob, held_out: HashTable, train: np.ndarray, row: np.ndarray, ngram: np.ndarray) -> None:
    """Write which training documents have which of the currently held-out n-grams, each pair once."""
    import pyarrow as pa

    places, number = held_out.find(ngram)
    row = row[places]
    order = np.lexsort((number, row))
    row, number = row[order], number[order]
    counts = train[row]
    counts[1:] &= (np.diff(row) != 0) | (np.diff(number) != 0)
    write_parquet(shard_path(job.scan / "seen", job.number), pa.table({"row": row[counts], "ngram": number[counts]}))


def _batches(job: ScanJob, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Yield (number of the first row, batch) for each batch of the shard."""
    import pyarrow.parquet as pq

    first = 0
    with pq.ParquetFile(shard_path(job.documents, job.number)) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            yield first, batch
            first += batch.num_rows
