"""Sorted runs: what comes back is what was written, in order, in pieces no larger than asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_lake.tables.runs import KEYS, Runs, write_run

KEY = st.one_of(st.integers(0, 20), st.integers(0, KEYS - 1))
ROWS = st.lists(st.lists(st.tuples(KEY, st.integers(0, 2**64 - 1)), max_size=20), min_size=1, max_size=4)
ANY_FOLDER = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(tmp_path: Path, runs: list[list[tuple[int, int]]]) -> Runs:
    paths = [tmp_path / f"{number}.run" for number in range(len(runs))]
    for path, rows in zip(paths, runs, strict=True):
        write_run(path, np.array(rows, dtype=np.uint64).reshape(-1, 2).T)
    return Runs(paths, 2)


def as_rows(array: np.ndarray) -> list[tuple[int, int]]:
    assert array[0].tolist() == sorted(array[0].tolist())
    return [tuple(row) for row in array.T.tolist()]


@ANY_FOLDER
@given(runs=ROWS, low=KEY, high=KEY)
def test_a_range_holds_the_rows_of_all_runs(
    tmp_path: Path, runs: list[list[tuple[int, int]]], low: int, high: int
) -> None:
    everything = sorted(row for rows in runs for row in rows)
    low, high = sorted((low, high))
    made = written(tmp_path, runs)
    assert len(made) == len(everything)
    assert sorted(as_rows(made.read())) == everything
    assert sorted(as_rows(made.read(low, high))) == [row for row in everything if low <= row[0] < high]


@ANY_FOLDER
@given(runs=ROWS, limit=st.integers(1, 30))
def test_ranges_are_small_and_leave_nothing_out(tmp_path: Path, runs: list[list[tuple[int, int]]], limit: int) -> None:
    made = written(tmp_path, runs)
    read = []
    for low, high in made.split(limit):
        rows = as_rows(made.read(low, high))
        assert len(rows) <= limit or len({key for key, _ in rows}) == 1
        read += sorted(rows)
    assert read == sorted(row for rows in runs for row in rows)


@ANY_FOLDER
@given(runs=ROWS, keys=st.sets(KEY), limit=st.integers(1, 10))
def test_lookup_finds_a_row_of_each_key(
    tmp_path: Path, runs: list[list[tuple[int, int]]], keys: set[int], limit: int
) -> None:
    there = {key for rows in runs for key, _ in rows}
    rows = {row for rows in runs for row in rows}
    found, values = written(tmp_path, runs).lookup(np.array(sorted(keys), dtype=np.uint64), limit)
    assert [key for key, there in zip(sorted(keys), found.tolist(), strict=True) if there] == sorted(keys & there)
    assert all(tuple(row) in rows for row in values[:, found].T.tolist())


def test_a_broken_run_is_named(tmp_path: Path) -> None:
    made = tmp_path / "a.run"
    write_run(made, np.ones((2, 10), dtype=np.uint64))
    with pytest.raises(OSError, match=r"a\.run is not a run of 3 columns"):
        Runs([made], 3)
    made.write_bytes(made.read_bytes()[:-1])
    with pytest.raises(OSError, match=r"a\.run is not a run of 2 columns"):
        Runs([made], 2)
