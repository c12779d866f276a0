"""What the benchmarks stage can check before it runs: that each benchmark is known and its local files are there."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.benchmarks.config import BenchmarksConfig
from tasks.benchmarks.files import files_of
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
        for part in ("path", "shots_path"):
            yield from attempt(f"{field}.{part}", files_of, BENCHMARKS[name], getattr(given, part), f"{field}.{part}")
