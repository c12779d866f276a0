"""The preflight: what a stage can check in its config, its files and this machine before the first stage runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_lake.store.lake import Artifact, Lake
from tasks.stage.config import StageConfig
from tasks.stage.errors import PermanentError


@dataclass(frozen=True)
class Fault:
    """Why a stage would fail: the recipe's field (section.field) that has to change, and a sentence.

    A fault that does not stop the stage says what it will leave out: the plan shows it, and the run starts anyway.
    """

    field: str
    reason: str
    stops: bool = True


@dataclass(frozen=True)
class Facts:
    """What a check can see besides its own config.

    configs: by stage name, those of its own stage and of all stages that it reads, directly or through others.
    inputs: the artifacts of its inputs by role, if the lake already has them.
    """

    configs: Mapping[str, StageConfig]
    lake: Lake
    inputs: Mapping[str, Artifact] = field(default_factory=dict)

    def value(self, path: str) -> Any:
        """Return the value of a recipe's field (section.field.field); None if the recipe has no such stage."""
        stage, *fields = path.split(".")
        value: Any = self.configs.get(stage)
        for name in fields:
            value = None if value is None else getattr(value, name)
        return value


Check = Callable[[Any, Facts], Iterator[Fault]]


def attempt(field: str, function: Callable[..., object], *arguments: Any) -> Iterator[Fault]:
    """Yield the fault that a function raises: the call tries in advance what the stage itself will do first."""
    try:
        function(*arguments)
    except (PermanentError, ValueError, OSError) as error:
        yield Fault(field, sentence(error))


def sentence(error: Exception) -> str:
    """Return the text of an error; for a system error, its file and the reason."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be read: {error.strerror}."
    return str(error)


def device_faults(field: str, device: str) -> Iterator[Fault]:
    """Yield why torch cannot compute on a device; `auto` and `cpu` always work and are not checked with torch."""
    if device not in ("auto", "cpu"):
        from model.hardware import choose_device

        yield from attempt(field, choose_device, device)
