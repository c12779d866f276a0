"""Checks of the ppo stage before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.stage.preflight import Facts, Fault
from tasks.training.reinforcement.preflight import rewarded_faults

if TYPE_CHECKING:
    from tasks.training.ppo.config import PpoConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: PpoConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the model cannot be trained, and which model it goes on from if the recipe has both methods."""
    yield from rewarded_faults("ppo", config, facts)
    if "grpo" in facts.configs:
        why = "It goes on from the model that grpo makes, and its KL is to that one."
        yield Fault("ppo", f"{why} To compare both, give each a variant without the other.", stops=False)
