"""Checks of the dpo stage before it runs: the device exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.training.dpo.config import DpoConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: DpoConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be trained."""
    yield from device_faults("dpo.runtime.device", config.runtime.device)
