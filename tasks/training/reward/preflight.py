"""Checks of the reward stage before it runs: the device exists, and the pooling can work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault, device_faults

if TYPE_CHECKING:
    from tasks.training.reward.config import RewardConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: RewardConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the reward model cannot be trained."""
    yield from device_faults("reward.runtime.device", config.runtime.device)
    if config.pooling == "first":
        yield Fault("reward.pooling", "The first token of a decoder has seen nothing of the answer; use last or mean.")
