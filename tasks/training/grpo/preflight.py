"""Checks of the grpo stage before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault
from tasks.training.reinforcement.preflight import rewarded_faults

if TYPE_CHECKING:
    from tasks.training.grpo.config import GrpoConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: GrpoConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be trained."""
    yield from rewarded_faults("grpo", config, facts)
