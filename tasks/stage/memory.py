"""Memory that ran out, in a sentence: which settings to lower, and that nothing finished is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from model.memory import CPU_ALLOCATOR, out_of_memory
from tasks.stage.config import StageConfig, execution, identity
from tasks.stage.errors import PermanentError

SIZES = ("micro_batch", "batch", "batch_tokens", "batch_size", "max_tokens", "group")
"""The names of fields that memory grows with, in the order in which to lower them."""


@contextlib.contextmanager
def enough_memory(stage: str, config: StageConfig) -> Iterator[None]:
    """Raise PermanentError, with what to lower, if memory runs out meanwhile: the same settings would fail again."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise PermanentError(_said(stage, config, error)) from error


def _said(stage: str, config: StageConfig, error: BaseException) -> str:
    told = str(error).rpartition(CPU_ALLOCATOR)[2].strip() or type(error).__name__
    first = told.splitlines()[0][:200].rstrip(". ")
    same = [f"{path} ({value or 'not set'})" for path, value in _sizes(execution(config), stage) if value != 1]
    others = [f"{path} ({value})" for path, value in _sizes(identity(config), stage) if value > 1]
    said = [f"Memory ran out: {first}."]
    if same:
        said.append(
            f"Set {' and '.join(same)} to a smaller number and start again: it goes on from what is finished, and the "
            "result changes by rounding at most."
        )
    if others:
        said.append(f"{'If that is not enough, lower' if same else 'Lower'} {' or '.join(others)}: another result.")
    if not same and not others:
        said.append("No setting of this stage takes less; start again where there is more: what is finished is kept.")
    return " ".join(said)


def _sizes(values: Mapping[str, Any], prefix: str) -> list[tuple[str, int]]:
    """Return path and value of the fields that memory grows with, at any depth; 0 = no limit."""
    found: list[tuple[str, int]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _sizes(value, f"{prefix}.{name}")
        elif name in SIZES and isinstance(value, int):
            found.append((f"{prefix}.{name}", value))
    return sorted(found, key=lambda item: SIZES.index(item[0].rpartition(".")[2]))
