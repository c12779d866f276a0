"""Candidate pairs: documents that share a whole band of their signatures, with large buckets split into small ones.

Bands only nominate pairs. On technical text, two thirds of the pairs that 20 bands of 6 values nominate are not
near-duplicates; often they only share a template. In another project, connecting all documents that share a band joined
743,779 distinct documents (marin #6851), and the cost of comparing them all grows with the square of their number. So a
bucket of more than `max_bucket` documents is split by further signature values, one after another: near-duplicates
agree in most of those values, documents made from one template do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_lake.tables.runs import Runs, write_run
from tasks.corpus.dedup.corpus import Corpus, Removed, preferred_first

PIVOTS = 4  # before a bucket that is too large is split, all its documents are compared with this many preferred ones


@dataclass(frozen=True)
class NominateJob:
    """Nominate pairs from one range of band keys, read from the runs of all shards."""

    corpus: Corpus
    bands: tuple[Path, ...]
    removed: Path
    low: int
    high: int
    max_bucket: int
    output: Path


def nominate(job: NominateJob) -> int:
    """Write the candidate pairs as a run of (document, lower-numbered document); return how many buckets were split.

    Pairs within earlier artifacts are left out, because they were decided there.
    """
    rows = Runs(job.bands, 2).read(job.low, job.high)
    rows = rows[:, ~Removed(0, job.removed)[rows[1]]]
    new = np.ones(rows.shape[1] + 1, dtype=np.bool_)
    new[1:-1] = rows[0, 1:] != rows[0, :-1]
    shared = ~(new[:-1] & new[1:])
    group, documents = np.cumsum(new[:-1])[shared], rows[1][shared]
    del rows, new, shared
    order = np.lexsort((documents, group))
    group, documents = group[order], documents[order]
    begins = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(group) else np.empty(0, np.int64)
    sizes = np.diff(np.append(begins, len(group)))
    large = np.repeat(sizes > job.max_bucket, sizes)
    found = [_all_pairs(group[~large], documents[~large])]
    for begin, size in zip(begins[sizes > job.max_bucket], sizes[sizes > job.max_bucket], strict=True):
        found += _split(job.corpus, documents[begin : begin + size], job.max_bucket)
    pairs = np.concatenate(found, axis=1)
    write_run(job.output, np.unique(pairs[:, pairs[0] >= job.corpus.old], axis=1))
    return int(np.count_nonzero(sizes > job.max_bucket))


def _all_pairs(group: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Return all pairs of documents with the same label, the higher number first: uint64[2, n]; `group` is sorted."""
    pairs = [np.empty((2, 0), dtype=np.uint64)]
    place = np.arange(len(documents))
    apart = 1
    while len(place):
        place = place[place + apart < len(documents)]
        place = place[group[place] == group[place + apart]]
        pairs.append(np.stack([documents[place + apart], documents[place]]))
        apart += 1
    return np.concatenate(pairs, axis=1)


def _split(corpus: Corpus, documents: np.ndarray, limit: int) -> Iterator[np.ndarray]:
    """Split a bucket that is too large by further signature values, and yield the pairs of its parts."""
    facts = corpus.facts(documents)
    yield from _parts(documents, facts, 0, limit)


def _parts(documents: np.ndarray, facts: np.ndarray, depth: int, limit: int) -> Iterator[np.ndarray]:
    if len(documents) <= limit:
        yield _all_pairs(np.zeros(len(documents), dtype=np.int64), documents)
        return
    # so that each of a thousand copies meets the one that is kept, even if single signature values differ
    for pivot in preferred_first(facts, documents)[:PIVOTS]:
        pairs = np.stack([documents, np.full(len(documents), documents[pivot])])
        pairs = np.stack([pairs.max(axis=0), pairs.min(axis=0)])
        yield pairs[:, pairs[0] != pairs[1]]
    if depth < facts["refine"].shape[1]:
        value = facts["refine"][:, depth]
        for label in np.unique(value):
            chosen = value == label
            yield from _parts(documents[chosen], facts[chosen], depth + 1, limit)
