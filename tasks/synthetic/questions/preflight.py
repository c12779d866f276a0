"""Checks of the questions stage before it runs: there is held-out text, and the user's benchmarks are usable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tasks.corpus.benchmarks.formats import read_hellaswag, read_mmlu
from tasks.stage.preflight import Facts, Fault, attempt
from tasks.synthetic.questions.config import QuestionsConfig

SHAPES_NO_RESULT = "can stop a run before it begins, and changes nothing that one makes"

Choices = tuple[str, ...]


def check(config: QuestionsConfig, facts: Facts) -> Iterator[Fault]:
    """Yield why there is nothing to ask, or how many items of a benchmark will be left out."""
    if facts.value("decontaminate.split.test") == 0:
        yield Fault(
            "decontaminate.split.test",
            "Nothing is held out to measure the models on; hold out a share, such as 0.02.",
        )
    for field, path, read in own_benchmarks(config):
        items: list[Choices] = []
        if faults := list(attempt(field, _into, items, read)):
            yield from faults
        else:
            yield from left_out(field, path, items, [item for item in items if has_texts(item)], "empty")


def own_benchmarks(config: QuestionsConfig) -> list[tuple[str, str, Callable[[], list[Choices]]]]:
    """Return (field, path, function that reads the choices of all items) for each of the user's own benchmarks."""
    hellaswag, mmlu = Path(config.hellaswag), Path(config.mmlu)
    found: list[tuple[str, str, Callable[[], list[Choices]]]] = [
        ("questions.hellaswag", config.hellaswag, lambda: [item.endings for item in read_hellaswag(hellaswag)]),
        ("questions.mmlu", config.mmlu, lambda: [item.choices for item in read_mmlu(mmlu)[0]]),
    ]
    return [own for own in found if own[1]]


def left_out(field: str, path: str, items: Sequence[Choices], left: Sequence[Choices], why: str) -> Iterator[Fault]:
    """Yield how many items are left out because a choice is `why`; the fault stops the run if no item remains.

    left: the items that can be asked.
    """
    if not left:
        reason = f"{path} has no item that can be asked: none of its {len(items):,} has choices that can be scored."
        yield Fault(field, reason)
    elif number := len(items) - len(left):
        reason = f"{number:,} of {len(items):,} items of {path} will be left out, as one of their choices is {why}."
        yield Fault(field, reason, stops=False)


def has_texts(choices: Choices) -> bool:
    """Return whether no choice is blank."""
    return all(map(str.strip, choices))


def _into(items: list[Choices], read: Callable[[], list[Choices]]) -> None:
    items.extend(read())
