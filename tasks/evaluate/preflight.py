"""What evaluate can check before it runs: that device, benchmarks and context fit, and that there is held-out text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from model.tokenizer import PATTERNS
from tasks.benchmark_formats import read_hellaswag, read_mmlu
from tasks.preflight import Facts, Fault, attempt, device_faults

if TYPE_CHECKING:
    from tasks.evaluate.stage import EvaluateConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"


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
        yield from _unusable("evaluate.hellaswag", config.hellaswag, facts, _endings)
    if config.mmlu:
        yield from _unusable("evaluate.mmlu", config.mmlu, facts, _choices)


def _endings(path: Path) -> list[tuple[str, ...]]:
    return [item.endings for item in read_hellaswag(path)]


def _choices(path: Path) -> list[tuple[str, ...]]:
    return [item.choices for item in read_mmlu(path)[0]]


def _unusable(field: str, path: str, facts: Facts, read: Callable[[Path], list[tuple[str, ...]]]) -> Iterator[Fault]:
    """Yield why a benchmark cannot be asked, or how many of its items cannot be."""
    items: list[tuple[str, ...]] = []
    if faults := list(attempt(field, lambda: items.extend(read(Path(path))))):
        yield from faults
        return
    full = [choices for choices in items if all(map(str.strip, choices))]
    fitting = [choices for choices in full if not any(_is_too_long(choice, facts) for choice in choices)]
    if not fitting:
        yield Fault(
            field, f"{path} has no item that can be asked: none of its {len(items):,} has choices that can be scored."
        )
        return
    for number, why in ((len(items) - len(full), "empty"), (len(full) - len(fitting), "longer than the context")):
        if number:
            of = f"{number:,} of {len(items):,} items of {path}"
            yield Fault(field, f"{of} will be left out, as one of their choices is {why}.", stops=False)


def _is_too_long(choice: str, facts: Facts) -> bool:
    """Whether a choice alone is certainly longer than the context: each piece that text is split into before it is
    encoded is a token at least. What is longer only as tokens is known when there is a tokenizer."""
    context, pattern = facts.value("pretrain.model.max_seq_len"), PATTERNS.get(facts.value("tokenizer.pattern") or "")
    if context is None or pattern is None or facts.value("tokenizer.keep") or len(choice) <= context:
        return False
    import regex

    return len(regex.findall(pattern, choice)) > context
