"""What the benchmarks stage can check before it runs: benchmarks are known, local files there, and their rows items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from tasks.benchmarks.base import BadRow, Benchmark
from tasks.benchmarks.config import BenchmarksConfig
from tasks.benchmarks.files import ASKED, SHOTS, BenchmarkFile, asked_and_shots, files_of
from tasks.benchmarks.items import WHOLE_FILE, is_read_by_plan, items_of
from tasks.benchmarks.registry import BENCHMARKS
from tasks.stage import PermanentError
from tasks.stage.preflight import Facts, Fault, attempt, sentence

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: BenchmarksConfig, facts: Facts) -> Iterator[Fault]:
    """Yield a fault for each benchmark that is not known or whose files are not there."""
    for name, given in config.files.items():
        field = f"questions.benchmarks.{name}"
        if name not in BENCHMARKS:
            near = [f"Did you mean {one}? " for one in get_close_matches(name, BENCHMARKS, 1)]
            known = ", ".join(BENCHMARKS)
            yield Fault(field, f"There is no benchmark {name!r}. {''.join(near)}The benchmarks are {known}.")
            continue
        if not given.path:
            yield Fault(f"{field}.path", f"No file is named; {name} is read from its official files.")
        found: dict[str, list[BenchmarkFile]] = {"path": [], "shots_path": []}
        for part, files in found.items():
            yield from attempt(
                f"{field}.{part}", _into, files, BENCHMARKS[name], getattr(given, part), f"{field}.{part}"
            )
        if name in config.shots and found["path"]:
            parts = {part for part, _ in asked_and_shots(BENCHMARKS[name], found["path"], found["shots_path"])}
            if SHOTS not in parts:
                reason = f"The shots of {name} come from its {BENCHMARKS[name].shots_from} split, but no file has it."
                yield Fault(f"{field}.shots_path", f"{reason} Name one here, or ask it with shots: 0.")
        if found["path"]:
            yield from _rows(name, [file for part, file in asked_and_shots(BENCHMARKS[name], found["path"], ())
                                    if part == ASKED])  # fmt: skip


def _rows(name: str, files: Sequence[BenchmarkFile]) -> Iterator[Fault]:
    """Yield that no row of a benchmark's files is an item, or how many rows are left out, if a plan can read them."""
    if not all(map(is_read_by_plan, files)):
        return
    rows = bad = 0
    first = ""
    try:
        for file in files:
            for number, made in items_of(BENCHMARKS[name], file, Path(file.place)):
                rows += number != WHOLE_FILE
                if isinstance(made, BadRow) and number != WHOLE_FILE:
                    bad += 1
                    first = first or f"row {number} of {file.name}: {made}"
    except (PermanentError, OSError) as error:
        yield Fault(f"questions.benchmarks.{name}.path", sentence(error))
        return
    if bad == rows:
        why = f": {first}" if first else ", as the files are empty"
        yield Fault(f"questions.benchmarks.{name}.path", f"No row of {name} is an item{why}.")
    elif bad:
        said = f"{bad:,} of {rows:,} rows of {name} will be left out; the first is {first}."
        yield Fault(f"questions.benchmarks.{name}.path", said, stops=False)


def _into(files: list[BenchmarkFile], benchmark: Benchmark, entries: Sequence[str], field: str) -> None:
    files += files_of(benchmark, entries, field)
