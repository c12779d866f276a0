"""All documents by number: the facts that decide between two of them, and where their shingles and names are on disk.

Documents are numbered across all shards, those of earlier artifacts (`against`) before those of this run. Only one
record per shard is in memory: facts, names and shingle sets are read for the documents that are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_lake.tables.runs import read_into

UNDATED = int(np.iinfo(np.int64).min)
"""The `fetched` of a document that does not say when it was fetched."""
FACTS = np.dtype(
    [
        ("rank", "<u8"),  # the document with the smaller rank is preferred
        ("id", "<u8"),  # decides between documents of equal rank
        ("fetched", "<i8"),  # microseconds since 1970; UNDATED if it is not known
        ("begin", "<u8"),  # the first shingle in the shard's file ...
        ("size", "<u8"),  # ... and how many there are
        ("name", "<u8"),  # the first byte of the name in the shard's file ...
        ("name_size", "<u4"),  # ... and its length
        ("refine", "u1", (16,)),  # low bytes of signature values, which split buckets that are too large
    ]
)
"""What is known about a document without reading its text."""

GAP = 1 << 12  # bytes between two wanted pieces; up to this size, a gap is cheaper to read than to skip
BLOCK = 1 << 23


@dataclass(frozen=True)
class Part:
    """One shard: its number, the number of its first document, how many documents it has, and its files."""

    number: int
    first: int
    count: int
    facts: Path
    names: Path
    shingles: Path | None


@dataclass(frozen=True)
class Corpus:
    """All shards in order; the first `earlier` ones belong to earlier artifacts."""

    parts: tuple[Part, ...]
    earlier: int = 0

    def __len__(self) -> int:
        return self.parts[-1].first + self.parts[-1].count if self.parts else 0

    @property
    def new_parts(self) -> tuple[Part, ...]:
        """The shards of this run."""
        return self.parts[self.earlier :]

    @property
    def old(self) -> int:
        """How many documents belong to earlier artifacts."""
        return self.new_parts[0].first if self.new_parts else len(self)

    def facts(self, numbers: np.ndarray) -> np.ndarray:
        """Return the facts of documents, FACTS[n]; `numbers` is sorted."""
        out = np.empty(len(numbers), dtype=FACTS)
        for part, first, last in self._by_part(numbers):
            mapped = np.load(part.facts, mmap_mode="r")
            out[first:last] = mapped[(numbers[first:last] - np.uint64(part.first)).astype(np.int64)]
        return out

    def sets(self, numbers: np.ndarray, facts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the concatenated shingle sets of documents, uint32[…], and where each begins, int64[n + 1]."""
        data, begins = self._gather(numbers, "shingles", 4 * facts["begin"], 4 * facts["size"])
        return data.view(np.uint32), begins // 4

    def names(self, numbers: np.ndarray, facts: np.ndarray) -> list[tuple[str, str | None]]:
        """Return the doc_id and the URL of documents; `numbers` is sorted."""
        data, begins = self._gather(numbers, "names", facts["name"], facts["name_size"].astype(np.uint64))
        text, found = data.tobytes(), []
        for begin, end in zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True):
            doc_id, _, url = text[begin:end].decode().partition("\0")
            found.append((doc_id, url or None))
        return found

    def _by_part(self, numbers: np.ndarray) -> list[tuple[Part, int, int]]:
        edges = np.searchsorted(numbers, np.array([part.first for part in self.parts] + [len(self)], dtype=np.uint64))
        return [
            (part, first, last)
            for part, first, last in zip(self.parts, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            if last > first
        ]

    def _gather(
        self, numbers: np.ndarray, kind: str, begins: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read a piece of bytes for each document; pieces close to each other are read together."""
        places = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        out = np.empty(places[-1], dtype=np.uint8)
        for part, first, last in self._by_part(numbers):
            path = getattr(part, kind)
            with open(path, "rb", buffering=0) as file:
                _read_pieces(
                    file, begins[first:last].astype(np.int64), sizes[first:last].astype(np.int64), out, places[first]
                )
        return out, places


def _read_pieces(file, begins: np.ndarray, sizes: np.ndarray, out: np.ndarray, filled: int) -> None:  # type: ignore[no-untyped-def]
    """Read pieces of a file, given in file order, one after another into `out` from `filled` on."""
    ends = begins + sizes
    apart = np.flatnonzero(begins[1:] - ends[:-1] > GAP) + 1
    for first, last in zip([0, *apart.tolist()], [*apart.tolist(), len(begins)], strict=True):
        while first < last:
            stop = max(first + 1, int(np.searchsorted(ends[:last], begins[first] + BLOCK, side="right")))
            block = np.empty(int(ends[stop - 1] - begins[first]), dtype=np.uint8)
            read_into(file, block, int(begins[first]))
            inside = begins[first:stop] - begins[first]
            together = np.flatnonzero(inside[1:] != ends[first : stop - 1] - begins[first]) + 1
            for a, b in zip([0, *together.tolist()], [*together.tolist(), stop - first], strict=True):
                start, size = int(inside[a]), int(ends[first + b - 1] - begins[first] - inside[a])
                out[filled : filled + size] = block[start : start + size]
                filled += size
            first = stop


class Removed:
    """Which documents are removed, one bit each: the only thing whose size in memory grows with the corpus."""

    def __init__(self, count: int, path: Path | None = None) -> None:
        self.bits = np.zeros(-(-count // 8), dtype=np.uint8) if path is None else np.fromfile(path, dtype=np.uint8)

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """Return bool[n]: whether each of the documents is removed."""
        return (self.bits[numbers >> np.uint64(3)] >> (numbers & np.uint64(7)).astype(np.uint8) & 1).astype(np.bool_)

    def add(self, numbers: np.ndarray) -> None:
        """Mark documents as removed."""
        ones = np.uint8(1) << (numbers & np.uint64(7)).astype(np.uint8)
        np.bitwise_or.at(self.bits, (numbers >> np.uint64(3)).astype(np.int64), ones)

    def save(self, path: Path) -> Path:
        """Write the bits for other processes to read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.bits.tofile(path)
        return path


def preferred_first(facts: np.ndarray, numbers: np.ndarray, groups: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return the order of preference within `groups` (arrays of labels, of which the last is the primary key)."""
    return np.lexsort((numbers, facts["id"], facts["rank"], *groups))
