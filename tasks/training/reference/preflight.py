"""Checks of the reference stage before it runs: the device exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.training.reference.config import ReferenceConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: ReferenceConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why nothing can be computed."""
    yield from device_faults("reference.device", config.device)
