"""What evaluate can say before it runs: that device, benchmarks and context fit, and that there is held-out text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.benchmark_formats import read_hellaswag, read_mmlu
from tasks.preflight import Facts, Fault, attempt, device_faults

if TYPE_CHECKING:
    from tasks.evaluate.stage import EvaluateConfig


def check(config: EvaluateConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why the models cannot be measured."""
    yield from device_faults("evaluate.device", config.device)
    context = facts.value("pretrain.model.max_seq_len")
    if context is not None and config.min_context > context:
        yield Fault(
            "evaluate.min_context",
            f"A token cannot be predicted from {config.min_context:,} others at least by a model whose context is "
            f"{context:,} (pretrain.model.max_seq_len).",
        )
    if facts.value("decontaminate.split.test") == 0:
        yield Fault(
            "decontaminate.split.test",
            "Nothing is held out to measure the models on; hold out a share, such as 0.02.",
        )
    if config.hellaswag:
        yield from attempt("evaluate.hellaswag", _require_hellaswag, Path(config.hellaswag))
    if config.mmlu:
        yield from attempt("evaluate.mmlu", _require_mmlu, Path(config.mmlu))


def _require_hellaswag(path: Path) -> None:
    if not any(all(map(str.strip, item.endings)) for item in read_hellaswag(path)):
        raise ValueError(f"{path} holds no item to ask.")


def _require_mmlu(path: Path) -> None:
    if not any(all(map(str.strip, item.choices)) for item in read_mmlu(path)[0]):
        raise ValueError(f"The files below {path} hold no item to ask.")
