"""Checks of the judge stage before it runs: the device, the files, and the key for the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.evaluation.judge.client import api_key
from tasks.stage.preflight import Facts, Fault, attempt, device_faults
from tasks.training.sft.instructions import instruction_files

if TYPE_CHECKING:
    from tasks.evaluation.judge.config import JudgeConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


def check(config: JudgeConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the answers cannot be judged, as far as that is known without asking the judge."""
    yield from device_faults("judge.device", config.device)
    yield from attempt("judge.api_key_variable", api_key, config.api_key_variable)
    for pattern in config.data:
        yield from attempt("judge.data", instruction_files, [pattern], "judge.data")
