"""The graph: every stage in the order in which it can run, and who needs whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tasks.clean import clean
from tasks.crawl import crawl
from tasks.decontaminate import decontaminate
from tasks.dedup import dedup
from tasks.evaluate import evaluate
from tasks.pretrain import pretrain
from tasks.sft import sft
from tasks.stage import Stage
from tasks.tokenize import tokenize
from tasks.tokenizer import tokenizer

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (crawl, clean, dedup, decontaminate, tokenizer, tokenize, pretrain, sft, evaluate)
}


def scope(until: str | None = None, stages: Mapping[str, Stage] = STAGES) -> list[Stage]:
    """The stages that a run is about, in order: all, or `until` and what it needs."""
    if until is None:
        return list(stages.values())
    needed = {until}
    for name in reversed(list(stages)):
        if name in needed:
            needed.update(stages[name].upstream)
    return [stage for name, stage in stages.items() if name in needed]


def targets(stages: Iterable[Stage]) -> set[str]:
    """The stages whose artifact is wanted for itself: those that no other stage of the scope reads."""
    stages = list(stages)
    read = {name for stage in stages for name in stage.upstream}
    return {stage.name for stage in stages} - read


def downstream(name: str, stages: Mapping[str, Stage] = STAGES) -> list[str]:
    """All stages that read `name`, directly or through others, in order."""
    found: list[str] = []
    for stage in stages.values():
        if set(stage.upstream) & {name, *found}:
            found.append(stage.name)
    return found
