"""Checks of the teacher stage before it runs: the device exists, and the windows fit the teacher's context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.evaluation.evaluate.preflight import context_of
from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.compression.teacher.config import TeacherConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: TeacherConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the teacher cannot read."""
    yield from device_faults("teacher.device", config.device)
    context, field = context_of(facts)
    if context is not None and config.seq_len is not None and config.seq_len > context:
        yield Fault(
            "distil.model.max_seq_len",
            f"The student reads {config.seq_len:,} tokens, its teacher at most {context:,} ({field}); lower it.",
        )
