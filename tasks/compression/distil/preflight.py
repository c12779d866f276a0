"""Checks of the distil stage before it runs: the device exists, and there is held-out text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.compression.distil.config import DistilConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: DistilConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the student cannot be trained."""
    yield from device_faults("distil.runtime.device", config.runtime.device)
    if facts.value("decontaminate.split.val") == 0:
        yield Fault("decontaminate.split.val", "Nothing is held out for validation; hold out a share, such as 0.02.")
