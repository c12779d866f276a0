"""The items of official files: which files are read, and which item each of their rows is, or why it is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.benchmarks.base import BadRow, Benchmark, Item
from tasks.benchmarks.config import BenchmarkFiles, BenchmarksConfig
from tasks.benchmarks.files import ASKED, SHOTS, BenchmarkFile, asked_and_shots, files_of
from tasks.benchmarks.reading import foreign_encoding, rows_of
from tasks.benchmarks.registry import BENCHMARKS
from tasks.benchmarks.store import document_of
from tasks.corpus.crawl.source_files import is_remote
from tasks.stage import PermanentError

WHOLE_FILE = 0
"""The row number of a problem that the file as a whole has."""


LARGEST_OF_PLAN = 1 << 25
"""Bytes of a file that a plan reads, which must not take long."""


def chosen(config: BenchmarksConfig) -> Iterator[tuple[str, str, BenchmarkFile]]:
    """Yield (benchmark, ASKED or SHOTS, file) for every file to read."""
    for name, given in config.files.items():
        if name not in BENCHMARKS:
            raise PermanentError(f"There is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}.")
        for part, file in _files(BENCHMARKS[name], given, f"questions.benchmarks.{name}"):
            if part != SHOTS or name in config.shots:
                yield name, part, file


def local_items(config: BenchmarksConfig) -> Iterator[tuple[str, Item]]:
    """Yield (benchmark, item) of everything that is asked and that a plan reads: local files that are not too large."""
    for name, part, file in chosen(config):
        if part == ASKED and is_read_by_plan(file):
            for _, made in items_of(BENCHMARKS[name], file, Path(file.place)):
                if isinstance(made, Item):
                    yield name, made


def is_read_by_plan(file: BenchmarkFile) -> bool:
    """Return whether a plan reads a file: it fetches nothing, and must not take long."""
    return not is_remote(file.place) and Path(file.place).stat().st_size <= LARGEST_OF_PLAN


def _files(benchmark: Benchmark, given: BenchmarkFiles, field: str) -> Iterator[tuple[str, BenchmarkFile]]:
    if not given.path:
        raise PermanentError(f"{field}.path names no file; {benchmark.name} is read from its official files.")
    shots = files_of(benchmark, given.shots_path, f"{field}.shots_path")
    yield from asked_and_shots(benchmark, files_of(benchmark, given.path, f"{field}.path"), shots)


def items_of(benchmark: Benchmark, file: BenchmarkFile, path: Path) -> Iterator[tuple[int, Item | BadRow]]:
    """Yield (number, item or what is wrong with the row) of a local file; WHOLE_FILE is the number of the file."""
    if (encoding := foreign_encoding(path)) is not None:
        yield WHOLE_FILE, BadRow(f"the file is not UTF-8; it is read as {encoding}")
    for number, row in rows_of(benchmark, path):
        if isinstance(row, BadRow):
            yield number, row
            continue
        try:
            item = benchmark.item(row, file.subject)
        except BadRow as problem:
            yield number, problem
        else:
            yield number, Item(**{**vars(item), "document": document_of(row)})
