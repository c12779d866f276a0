"""The levels of dedup, run one after another, each in jobs as large as their memory allows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_lake.tables.runs import Runs, write_run
from tasks.corpus.dedup.candidates import NominateJob, nominate
from tasks.corpus.dedup.comparison import CompareJob, compare
from tasks.corpus.dedup.config import DedupConfig
from tasks.corpus.dedup.corpus import Corpus, Part, Removed
from tasks.corpus.dedup.decisions import near_duplicates
from tasks.corpus.dedup.exact import exact_matches
from tasks.corpus.dedup.repeats import CutJob, Kind, PiecesJob, decide_cuts, find_repeated, note_pieces
from tasks.corpus.dedup.write import Decided

# Bytes that one row of a run takes while it is read, sorted and grouped; at most 90 were measured for two numbers.
ROW_BYTES = 128

Each = Callable[[Any, Sequence[Any], str], list[Any]]


def limit_of(config: DedupConfig) -> int:
    """Return how many rows of a run a job may read at once."""
    return max(1 << 12, (config.memory_megabytes << 20) // ROW_BYTES)


@dataclass
class Levels:
    """What all levels need: the corpus, where to work, and which documents are removed so far."""

    config: DedupConfig
    corpus: Corpus
    work: Path
    removed: Removed
    compiled: bool  # whether there is so much to do that compiled kernels pay off

    @property
    def limit(self) -> int:
        """Rows of a run that a job may read at once."""
        return limit_of(self.config)

    @property
    def folder(self) -> Path:
        """The folder of results that depend on how the memory setting cuts the work into jobs: one per setting."""
        return self.work / f"memory-{self.config.memory_megabytes}"

    def exact(self, kind: str, *, newest: bool = False) -> tuple[Path, ...]:
        """Find documents with the same URL or the same text; return the runs of (document, the one kept for it)."""
        keys = Runs(sorted((self.work / kind).glob("*.run")), 3)
        found = exact_matches(self.corpus, keys, self.removed, self.limit, newest=newest)
        return self._written(self.folder / f"{kind}-decided", found)

    def near(self, decided: Decided, each: Each, info: Callable[[str], None]) -> Decided:
        """Nominate pairs, compare them and decide; return `decided` with the runs of this level added."""
        bands, pairs = tuple(sorted((self.work / "bands").glob("*.run"))), self.folder / "pairs"
        removed = self.removed.save(self.folder / "removed-before-near.bits")
        # half the limit: the pairs of a bucket take more memory than the bucket itself
        jobs = [
            NominateJob(
                self.corpus, bands, removed, low, high, self.config.max_bucket, pairs / f"part-{number:05d}.run"
            )
            for number, (low, high) in enumerate(Runs(bands, 2).split(max(1, self.limit // 2)))
        ]
        split = sum(each(nominate, [job for job in jobs if not job.output.exists()], "key ranges searched"))
        nominated = tuple(job.output for job in jobs)
        cut = f" {split:,} buckets of more than {self.config.max_bucket} were split." if split else ""
        info(f"{len(Runs(nominated, 2)):,} times two documents share a part of their signatures; comparing.{cut}")
        comparing = [
            CompareJob(
                self.corpus,
                part,
                nominated,
                self.config.threshold,
                self.config.memory_megabytes << 20,
                self.compiled,
                self.folder / "compared",
                self.folder / "edges",
            )
            for part in self.corpus.new_parts
        ]
        each(compare, [job for job in comparing if not job.done.exists()], "shards compared")
        edges = Runs(sorted((self.folder / "edges").glob("*.run")), 8)
        found = near_duplicates(edges, self.removed, max(1, self.limit // 8))
        near = self._written(self.folder / "near-decided", found)
        compared = tuple(sorted((self.folder / "compared").glob("*.run")))
        return dataclasses.replace(decided, near=near, compared=compared)

    def repeated(self, decided: Decided, kind: Kind, documents: Sequence[Path], each: Each) -> Decided:
        """Find pieces that occur in too many documents; return `decided` with the runs of this level added."""
        config = getattr(self.config, kind)
        folder = self.work / kind
        removed = self.removed.save(folder / "removed.bits")
        noted = [
            PiecesJob(
                self.corpus,
                part,
                path,
                removed,
                kind,
                config.copies,
                config.min_words,
                self.compiled,
                folder / "every" / name_of(part),
                folder / "preferred" / name_of(part),
            )
            for part, path in zip(self.corpus.new_parts, documents, strict=True)
        ]
        each(note_pieces, [job for job in noted if not job.preferred.exists()], f"{kind} noted")
        preferred = Runs([job.preferred for job in noted], 4)
        repeated, keepers = self.folder / f"{kind}-repeated", self.folder / f"{kind}-keepers"
        found = list(_both(find_repeated(preferred, config.copies, max(1, self.limit // 2)), repeated, keepers))
        cuts = [
            CutJob(
                job.every,
                tuple(path for path, _ in found),
                tuple(path for _, path in found),
                max(1, self.limit // 4),
                self.folder / f"{kind}-cut" / name_of(job.part),
            )
            for job in noted
        ]
        each(decide_cuts, cuts, f"{kind} decided")
        return dataclasses.replace(decided, **{kind: tuple(job.output for job in cuts)})

    def _written(self, folder: Path, found: Iterable[np.ndarray]) -> tuple[Path, ...]:
        """Write each array as a run, and return their paths."""
        paths = []
        for number, rows in enumerate(found):
            path = folder / f"part-{number:05d}.run"
            write_run(path, rows)
            paths.append(path)
        return tuple(paths)


def name_of(part: Part) -> str:
    """Return the file name of a shard's own run."""
    return f"{part.number:05d}-.run"


def of_part(decided: Decided, part: Part) -> Decided:
    """Return `decided` without the runs that concern only other shards."""
    own = {
        kind: tuple(path for path in getattr(decided, kind) if path.name.startswith(f"{part.number:05d}-"))
        for kind in ("compared", "paragraphs", "lines")
    }
    return dataclasses.replace(decided, **own)


def _both(found: Iterator[tuple[np.ndarray, np.ndarray]], repeated: Path, keepers: Path) -> Iterator[tuple[Path, Path]]:
    for number, (hashes, keys) in enumerate(found):
        paths = repeated / f"part-{number:05d}.run", keepers / f"part-{number:05d}.run"
        write_run(paths[0], hashes)
        write_run(paths[1], keys)
        yield paths
