"""What decontaminate can check before it runs: that the benchmarks to look for can be read."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.items import read_items
from tasks.stage.preflight import Facts, Fault, attempt

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: DecontaminateConfig, facts: Facts) -> Iterator[Fault]:
    """Yield a fault for each benchmark that cannot be read."""
    none = {"hellaswag": "", "mmlu": "", "benchmarks": ()}
    for name in ("hellaswag", "mmlu"):
        if path := getattr(config, name):
            yield from attempt(f"decontaminate.{name}", read_items, config.model_copy(update={**none, name: path}))
    for pattern in config.benchmarks:
        only = config.model_copy(update={**none, "benchmarks": (pattern,)})
        yield from attempt("decontaminate.benchmarks", read_items, only)
