"""True similarity: the Jaccard similarity of the shingle sets of nominated pairs, computed one shard at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_lake.tables.runs import Runs, write_run
from tasks.corpus.dedup.corpus import Corpus, Part
from tasks.corpus.dedup.shingles import common

# Bytes of memory per candidate pair, without the sets: several copies of two numbers, and the facts of both documents.
PAIR_BYTES = 400

# The number of pairs from which the compiled kernel pays off in a small corpus: numpy takes half a second for them.
COMPILE_FROM = 15_000


@dataclass(frozen=True)
class CompareJob:
    """Compare one shard's documents with the lower-numbered documents that were nominated for them."""

    corpus: Corpus
    part: Part
    pairs: tuple[Path, ...]
    threshold: float
    memory: int
    compiled: bool
    compared: Path
    edges: Path

    @property
    def done(self) -> Path:
        """The file whose existence says that the shard's pairs have been compared."""
        return self.compared / f"{self.part.number:05d}.done"


def compare(job: CompareJob) -> None:
    """Write runs of the compared pairs, and of those at or above the threshold in the form that `decisions` needs.

    compared: (document, lower-numbered document, values in common, values in either). edges: the less preferred
    document first, with the rank and id of both: (rank, id, document, rank, id, partner, common, union).
    A pair is not compared if the sizes of its sets alone show that it is below the threshold.
    """
    for folder in (job.compared, job.edges):
        for stale in folder.glob(f"{job.part.number:05d}-*.run"):
            stale.unlink()
    number = 0
    for pairs in _candidates(job):
        both = np.unique(pairs)
        facts = job.corpus.facts(both)
        first, second = (np.searchsorted(both, numbers) for numbers in pairs)
        sizes = facts["size"]
        small, large = np.minimum(sizes[first], sizes[second]), np.maximum(sizes[first], sizes[second])
        possible = small >= job.threshold * large
        for chosen in _chunks(np.flatnonzero(possible), sizes[first] + sizes[second], job.memory // 8):
            a, b = first[chosen], second[chosen]
            wanted, place = np.unique(np.concatenate([a, b]), return_inverse=True)
            values, begins = job.corpus.sets(both[wanted], facts[wanted])
            shared = common(
                values, begins, place[: len(a)], place[len(a) :], compiled=job.compiled or len(a) > COMPILE_FROM
            ).astype(np.uint64)
            union = sizes[a] + sizes[b] - shared
            name = f"{job.part.number:05d}-{number:06d}.run"
            write_run(job.compared / name, np.stack([pairs[0, chosen], pairs[1, chosen], shared, union]))
            alike = shared / union >= job.threshold
            write_run(job.edges / name, _edges(both, facts, a[alike], b[alike], shared[alike], union[alike]))
            number += 1
    job.done.parent.mkdir(parents=True, exist_ok=True)
    job.done.touch()


def _candidates(job: CompareJob) -> Iterator[np.ndarray]:
    """Yield the distinct candidate pairs of the shard's documents, sorted, in arrays that fit in memory."""
    runs = Runs(job.pairs, 2)
    for low, high in runs.split(max(1, job.memory // PAIR_BYTES), job.part.first, job.part.first + job.part.count):
        pairs = runs.read(low, high)
        pairs = pairs[:, np.lexsort((pairs[1], pairs[0]))]
        repeated = np.all(pairs[:, 1:] == pairs[:, :-1], axis=0)
        yield pairs[:, np.concatenate([[True], ~repeated])]


def _chunks(chosen: np.ndarray, weights: np.ndarray, limit: int) -> Iterator[np.ndarray]:
    """Cut a list of pairs into chunks of at most about `limit` set values; a single pair may have more."""
    if not len(chosen):
        return
    number = np.cumsum(weights[chosen]) // np.uint64(max(1, limit))
    yield from np.split(chosen, np.flatnonzero(number[1:] != number[:-1]) + 1)


def _edges(
    both: np.ndarray, facts: np.ndarray, a: np.ndarray, b: np.ndarray, shared: np.ndarray, union: np.ndarray
) -> np.ndarray:
    """Return the pairs with the less preferred document first, and the values that decide: uint64[8, n]."""
    rank, identity = facts["rank"], facts["id"]
    same_rank, same_id = rank[a] == rank[b], identity[a] == identity[b]
    later = np.where(same_rank, np.where(same_id, both[a] > both[b], identity[a] > identity[b]), rank[a] > rank[b])
    loser, winner = np.where(later, a, b), np.where(later, b, a)
    sides = [side for i in (loser, winner) for side in (rank[i], identity[i], both[i])]
    return np.stack([*sides, shared, union])
