"""What the benchmarks stage can check before it runs: that each benchmark is known and its local files are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.benchmarks.base import Benchmark
from tasks.benchmarks.config import BenchmarksConfig
from tasks.benchmarks.files import SHOTS, BenchmarkFile, asked_and_shots, files_of
from tasks.benchmarks.registry import BENCHMARKS
from tasks.stage.preflight import Facts, Fault, attempt

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: BenchmarksConfig, facts: Facts) -> Iterator[Fault]:
    """Yield a fault for each benchmark that is not known or whose files are not there."""
    for name, given in config.files.items():
        field = f"questions.benchmarks.{name}"
        if name not in BENCHMARKS:
            yield Fault(field, f"There is no benchmark {name!r}; the benchmarks are {', '.join(BENCHMARKS)}.")
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


def _into(files: list[BenchmarkFile], benchmark: Benchmark, entries: Sequence[str], field: str) -> None:
    files += files_of(benchmark, entries, field)
