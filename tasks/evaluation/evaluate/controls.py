"""Controls: how far one gets in a benchmark without answering its questions; what does not beat them shows nothing.

An answer by a habit (the one that is right most often), the choices in another order where they are listed, and the
choices without the question. Word choice alone decides many benchmarks: the authors of HellaSwag and WinoGrande filter
their items against it, and most others do not (Gururangan et al. 2018; Poliak et al. 2018).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.benchmarks.base import Benchmark, Item
from tasks.benchmarks.metrics import mean_and_stderr
from tasks.evaluation.evaluate.asking import Reply, Write, ask
from tasks.evaluation.evaluate.benchmarks import Asking

if TYPE_CHECKING:
    from model.scoring import Scorer

MAJORITY, SHUFFLED, NO_QUESTION = "majority", "shuffled", "no_question"
IN_WORDS = {
    "chance": "chance",
    MAJORITY: "the most frequent answer",
    SHUFFLED: "its score with the choices in another order",
    NO_QUESTION: "the choices alone",
}
BEATEN = 2.0
"""Standard errors by which a score must exceed a control to beat it."""


def controls_of(scorer: Scorer, write: Write, asking: Asking, replies: Sequence[Reply | None]) -> dict[str, Any]:
    """Return each control: its value on the items that were asked, and the paired difference of the score from it.

    The score is the main metric or, if that is no mean over items, acc. Empty if the benchmark is no multiple choice
    or measures no ability.
    """
    benchmark = asking.benchmark
    asked = [(one, reply) for one, reply in zip(asking.chosen, replies, strict=True) if reply is not None]
    if benchmark.output != "choice" or not benchmark.ability or not asked:
        return {}
    scores = [_value(benchmark, one.item, reply) for one, reply in asked]
    found: dict[str, Any] = {}
    if (majority := _majority([one.item for one, _ in asked])) is not None:
        found[MAJORITY] = _against(scores, majority)
    others: list[tuple[str, Callable[[Item], Item] | None]] = [
        (SHUFFLED, benchmark.reordered), (NO_QUESTION, benchmark.blind),
    ]  # fmt: skip
    for name, changed in others:
        if changed is None:
            continue
        items = [replace(one, item=changed(one.item)) for one, _ in asked]
        told = ask(scorer, write, benchmark, items)
        pairs = [
            (score, _value(benchmark, one.item, reply))
            for score, one, reply in zip(scores, items, told, strict=True)
            if reply is not None
        ]
        found[name] = _against([score for score, _ in pairs], [control for _, control in pairs])
    return found


def verdict(found: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return (name, value) of the highest control that the score does not beat by two standard errors, if there is one.

    found: the summary of a benchmark. The score with the choices in another order is no control to beat: only a score
    that is higher by two standard errors says something, namely that it depends on the order.
    """
    unbeaten = []
    for name, control in found.get("controls", {}).items():
        difference, stderr = control["difference"], control["difference_stderr"]
        if name != SHUFFLED and difference is not None and difference <= BEATEN * (stderr or 0.0):
            unbeaten.append((name, control["value"]))
    return max(unbeaten, key=lambda one: one[1]) if unbeaten else None


def depends_on_order(found: Mapping[str, Any]) -> bool:
    """Return whether the score is higher, by two standard errors, than with the choices in another order."""
    control = found.get("controls", {}).get(SHUFFLED)
    return bool(
        control and control["difference_stderr"] and control["difference"] > BEATEN * control["difference_stderr"]
    )


def _value(benchmark: Benchmark, item: Item, reply: Reply) -> float:
    values, main = benchmark.measured(item, reply.answered), benchmark.main
    is_mean = main.aggregation == "mean" and main.whole is None
    return float(values[main.name if is_mean else "acc"])


def _majority(items: Sequence[Item]) -> list[float] | None:
    """Return, for each item, whether the answer that is right most often is right; None if all answers differ.

    Answers are words, such as a letter or yes. Their places in a file are no answer: a model that scores each choice by
    itself cannot see them, and in some files the first choice is always the right one.
    """
    right = [{item.options[place] for place in item.gold if place < len(item.options)} for item in items]
    most, times = Counter(answer for own in right for answer in sorted(own)).most_common(1)[0]
    return [float(most in own) for own in right] if times > 1 else None


def _against(scores: Sequence[float], controls: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of a control, and of the differences on the same items, with the standard error of that mean."""
    if not scores:
        return {"n": 0, "value": None, "difference": None, "difference_stderr": None}
    difference, stderr = mean_and_stderr([score - own for score, own in zip(scores, controls, strict=True)])
    value = sum(controls) / len(controls)
    return {"n": len(scores), "value": value, "difference": difference, "difference_stderr": stderr}
