"""Sorted runs on disk: how to group, order and find more rows than fit into memory.

A run is a file of rows of 64-bit numbers, stored by column and sorted by the first, the key. Every shard writes its own
run; to get all rows of a range of keys, that slice of every run is read. So equal keys come together in independent
jobs, each as large as its memory allows: the shuffle of MapReduce (Dean & Ghemawat 2004).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_lake.store.files import whole_file

KEYS = 1 << 64  # keys are below this


def write_run(path: Path, rows: np.ndarray) -> None:
    """Sort uint64[columns, n] by its first column and write it, whole or not at all.

    The order of equal keys is undefined: readers that need one must sort what they read.
    """
    rows = rows[:, np.argsort(rows[0])]
    with whole_file(path) as file:
        np.array(rows.shape, dtype=np.uint64).tofile(file)
        np.ascontiguousarray(rows, dtype=np.uint64).tofile(file)


class Runs:
    """Several runs of the same columns, read as one sorted table. Files are open only while they are read."""

    def __init__(self, paths: Sequence[Path], columns: int) -> None:
        self.columns = columns
        self._runs = []
        for path in sorted(paths):
            found, n = (int(number) for number in np.fromfile(path, np.uint64, 2))
            if found != columns or path.stat().st_size != 16 + 8 * found * n:
                raise OSError(f"{path} is not a run of {columns} columns: its size does not match its header.")
            self._runs.append((path, n))

    def __len__(self) -> int:
        return sum(n for _, n in self._runs)

    def read(self, low: int = 0, high: int = KEYS) -> np.ndarray:
        """Return the rows with low <= key < high, sorted by key: uint64[columns, n]."""
        places = list(zip(self._places(low), self._places(high), strict=True))
        rows = np.empty((self.columns, sum(last - first for first, last in places)), dtype=np.uint64)
        filled = 0
        for (path, n), (first, last) in zip(self._runs, places, strict=True):
            if last > first:
                with open(path, "rb", buffering=0) as file:
                    for column in range(self.columns):
                        read_into(file, rows[column, filled : filled + last - first], 16 + 8 * (column * n + first))
                filled += last - first
        return rows if len(self._runs) < 2 else rows[:, np.argsort(rows[0])]

    def split(self, limit: int, low: int = 0, high: int = KEYS) -> Iterator[tuple[int, int]]:
        """Yield ascending ranges of keys that together cover all rows of [low, high), each with at most `limit` rows.

        A range of a single key may hold more.
        """
        yield from self._halves(limit, low, high, self._places(low), self._places(high))

    def lookup(self, keys: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each of the sorted distinct `keys` has a row, and that row (one, if there are several).

        bool[n] and uint64[columns, n]; reads at most `limit` rows at a time.
        """
        found, out = np.zeros(len(keys), dtype=np.bool_), np.zeros((self.columns, len(keys)), dtype=np.uint64)
        if not len(keys) or not len(self):
            return found, out
        for low, high in self.split(limit, int(keys[0]), int(keys[-1]) + 1):
            first, last = (int(np.searchsorted(keys, np.uint64(key))) for key in (low, high - 1))
            last += int(last < len(keys) and int(keys[last]) == high - 1)
            if first == last:
                continue
            rows = self.read(low, high)
            place = np.minimum(np.searchsorted(rows[0], keys[first:last]), max(0, rows.shape[1] - 1))
            if rows.shape[1]:
                found[first:last] = rows[0][place] == keys[first:last]
                out[:, first:last] = rows[:, place]
        return found, out

    def _halves(self, limit: int, low: int, high: int, first: list[int], last: list[int]) -> Iterator[tuple[int, int]]:
        count = sum(last) - sum(first)
        if count <= limit or high - low <= 1:
            if count:
                yield low, high
            return
        middle = (low + high) // 2
        between = self._places(middle)
        yield from self._halves(limit, low, middle, first, between)
        yield from self._halves(limit, middle, high, between, last)

    def _places(self, key: int) -> list[int]:
        """Return how many rows of each run have a smaller key."""
        return [_place(path, n, key) for path, n in self._runs]


def read_into(file: BinaryIO, values: np.ndarray, offset: int) -> None:
    """Fill a contiguous array from `offset` bytes into an unbuffered file."""
    view = memoryview(values.view(np.uint8))  # type: ignore[arg-type]
    file.seek(offset)
    while len(view):
        n = file.readinto(view)  # type: ignore[attr-defined]
        if not n:
            raise OSError(f"{file.name} is {len(view):,} bytes too short.")
        view = view[n:]


def _place(path: Path, n: int, key: int) -> int:
    if key <= 0 or key >= KEYS:
        return 0 if key <= 0 else n
    low, high = 0, n
    with open(path, "rb", buffering=0) as file:
        while low < high:
            middle = (low + high) // 2
            if int.from_bytes(os.pread(file.fileno(), 8, 16 + 8 * middle), "little") < key:
                low = middle + 1
            else:
                high = middle
    return low
