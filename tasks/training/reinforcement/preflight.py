"""Checks before a stage that learns from rewards runs: what `plan` can know of its settings and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.training.adapters import adapter_faults, shape_of_base
from tasks.training.reinforcement.config import ReinforcementConfig
from tasks.training.sft.preflight import find_record


def rewarded_faults(name: str, config: ReinforcementConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the stage called `name` cannot run."""
    yield from device_faults(f"{name}.runtime.device", config.runtime.device)
    for pattern in config.data:
        yield from attempt(f"{name}.data", find_record, pattern)
    if (tests := config.rewards.tests_file) and not Path(tests).expanduser().is_file():
        yield Fault(f"{name}.rewards.tests_file", f"There is no file {tests}; paths start at {Path.cwd()}.")
    if config.rewards.model and "reward" not in facts.configs:
        why = "A reward model has a weight, but the recipe trains none; add the section `reward`, or set it to 0."
        yield Fault(f"{name}.rewards.model", why)
    if "crawl" not in facts.configs and not config.data and set(config.tasks) != {"arithmetic"}:
        yield Fault(f"{name}.tasks", "There are no pages to make tasks of; name files in data, or take [arithmetic].")
    yield from adapter_faults(f"{name}.adapter", config.adapter, shape_of_base(facts))
