"""What dedup can check before it runs: that the artifacts to compare with exist and have matching signatures."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.dedup.config import DedupConfig
from tasks.preflight import Facts, Fault, attempt

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: DedupConfig, facts: Facts) -> Iterator[Fault]:
    """Yield each earlier artifact that cannot be compared with."""
    if config.against:
        from tasks.dedup.against import earlier_artifacts

        for name in config.against:
            only = config.model_copy(update={"against": (name,)})
            yield from attempt("dedup.against", earlier_artifacts, only, facts.lake)
