"""What dedup can check before it runs: that the artifacts to compare with exist and have matching signatures."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.corpus.dedup.config import DedupConfig
from tasks.stage.preflight import Facts, Fault, attempt
from tasks.stage.roles import inputs_of

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: DedupConfig, facts: Facts) -> Iterator[Fault]:
    """Yield a fault for each earlier artifact that cannot be compared with."""
    from tasks.corpus.dedup.against import require_signed

    for role in inputs_of("against", facts.inputs):
        yield from attempt("dedup.against", require_signed, config, facts.inputs[role])
