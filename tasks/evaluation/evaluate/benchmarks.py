"""The results of a benchmark: metrics with standard errors of all items and of parts of them, and a row per item."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tasks.benchmarks.base import Benchmark
from tasks.benchmarks.metrics import aggregate, measure, pooled
from tasks.benchmarks.registry import BENCHMARKS
from tasks.evaluation.evaluate.asking import Reply
from tasks.synthetic.questions.chosen import Chosen
from tasks.synthetic.questions.files import Asked, Seen


@dataclass(frozen=True)
class Asking:
    """What is asked under one name of the results: a benchmark, its items, and how many there were to choose from."""

    benchmark: Benchmark
    chosen: Sequence[Chosen]
    available: int


@dataclass
class Results:
    """The results of one benchmark.

    `values` has each asked item's value of every metric, in the order of `rows`, which are what per_item.parquet has.
    `n_too_long` items were not asked: one of their choices alone is longer than the context.
    """

    asking: Asking
    bootstrap: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    values: list[Mapping[str, Any]] = field(default_factory=list)
    n_too_long: int = 0

    @property
    def main(self) -> str:
        """The name of the metric that stands for the benchmark."""
        return self.asking.benchmark.main.name

    def summary(self) -> dict[str, Any]:
        """Return all numbers: counts, metrics with standard errors, and those of parts of the items."""
        chances = [row["chance"] for row in self.rows if row["chance"] is not None]
        subjects = sorted({row["subject"] for row in self.rows})
        return {
            "available": self.asking.available,
            "metric": self.main,
            "shots": max((one.shots for one in self.asking.chosen), default=0),
            "chance": sum(chances) / len(chances) if chances else None,
            "n_truncated": sum(row["truncated"] for row in self.rows),
            "n_too_long": self.n_too_long,
            **self.metrics(lambda row: True),
            "clean": self.metrics(lambda row: not row["contaminated"]),
            "contaminated": self.metrics(lambda row: row["contaminated"]),
            "subjects": {name: self.metrics(functools.partial(_has_subject, name)) for name in subjects}
            if len(subjects) > 1
            else {},
        }

    def metrics(self, which: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        """Return the number of items that `which` accepts, and their metrics with standard errors (None if unknown)."""
        places = [number for number, row in enumerate(self.rows) if which(row)]
        found: dict[str, Any] = {"n": len(places)}
        for metric in self.asking.benchmark.metrics:
            values = [self.values[place][metric.name] for place in places if metric.name in self.values[place]]
            value, stderr = measure(metric, values, self.bootstrap)
            if metric.aggregation == "mean" and metric.whole is None and self.asking.benchmark.subjects_are_groups:
                stderr = self._pooled(metric.name, places) or stderr
            found |= {metric.name: value, f"{metric.name}_stderr": stderr}
        return found

    def _pooled(self, metric: str, places: Sequence[int]) -> float | None:
        """Return the standard error of a group of tasks, as lm-eval pools it; None if a task has a single item."""
        by_subject: dict[str, list[float]] = {}
        for place in places:
            by_subject.setdefault(self.rows[place]["subject"], []).append(self.values[place][metric])
        parts = [(*aggregate("mean", values, 0), len(values)) for values in by_subject.values()]
        return pooled([(mean, stderr, n) for mean, stderr, n in parts if mean is not None])[1] if parts else None


def formats(asked: Asked, mmlu_shots: int) -> dict[str, Asking]:
    """Return everything that a model is asked, by its name in the results.

    Items that were made from held-out pages are asked in the formats of HellaSwag and of MMLU, both by letter and by
    the text of the choice, as small models cannot use letters yet and cloze underrates large ones (OLMES, § 3.3).
    """
    found: dict[str, Asking] = {}
    if asked.hellaswag:
        found["hellaswag"] = _made(
            "hellaswag", asked, [asdict(item) for item in asked.hellaswag], asked.seen["hellaswag"]
        )
    for name, benchmark in (("mmlu_letters", "mmlu"), ("mmlu_cloze", "mmlu_continuation")):
        if asked.mmlu:
            rows = [{**asdict(item), "choices": list(item.choices)} for item in asked.mmlu]
            found[name] = _made(benchmark, asked, rows, asked.seen["mmlu"], mmlu_shots)
    for name, chosen in asked.benchmarks.items():
        found[name] = Asking(BENCHMARKS[name], chosen, asked.available[name])
    return found


def _made(name: str, asked: Asked, rows: Sequence[dict[str, Any]], seen: Seen, shots: int = 0) -> Asking:
    benchmark, dev = BENCHMARKS[name], asked.dev
    chosen = []
    for row, contaminated, share in zip(rows, seen.contaminated, seen.share, strict=True):
        item = benchmark.item(row, "")
        shown = [benchmark.item({**asdict(one), "choices": list(one.choices)}, "") for one in dev.get(item.subject, [])]
        before = benchmark.before(item, shown[:shots])
        chosen.append(Chosen(item, before, len(shown[:shots]), contaminated, share))
    return Asking(benchmark, chosen, asked.available[name.partition("_")[0]])


def results_of(asking: Asking, replies: Sequence[Reply | None], bootstrap: int) -> Results:
    """Return the results of a benchmark from a model's replies, one for each item."""
    found = Results(asking, bootstrap)
    for number, (one, reply) in enumerate(zip(asking.chosen, replies, strict=True)):
        if reply is None:
            found.n_too_long += 1
            continue
        values = asking.benchmark.measured(one.item, reply.answered)
        found.values.append(values)
        found.rows.append(_row(asking.benchmark, number, one, reply, values))
    return found


def _row(benchmark: Benchmark, number: int, one: Chosen, reply: Reply, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's row of per_item.parquet."""
    item, scores = one.item, list(reply.answered.log_likelihoods)
    choosing = benchmark.output == "choice"
    score = values.get(benchmark.main.name)
    return {
        "item": number,
        "subject": item.subject,
        "context": benchmark.requests(item, one.before)[0][0],
        "choices": list(item.options),
        "gold": item.gold[0],
        "log_likelihoods": scores,
        "answer": item.options[scores.index(max(scores))] if choosing else reply.answered.text or None,
        "reference": item.options[item.gold[0]],
        "score": float(score) if isinstance(score, int | float) else None,
        "correct": _right(values.get("acc")) if not benchmark.main.share else None,
        "correct_norm": _right(values.get("acc_norm")) if not item.partial else None,
        "correct_bytes": _right(values.get("acc_bytes")) if not item.partial else None,
        "chance": len(item.gold) / len(item.options) if choosing and benchmark.ability else None,
        "tokens": reply.tokens,
        "tokens_cut": reply.cut,
        "truncated": reply.cut > 0,
        "contaminated": one.contaminated,
        "found_in_training": one.share,
    }


def _right(value: float | None) -> bool | None:
    """Return whether an answer is right; None where nothing is right or wrong."""
    return None if value is None else bool(value)


def _has_subject(subject: str, row: Mapping[str, Any]) -> bool:
    return bool(row["subject"] == subject)


def better_format(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name of the format that suits the model better, as OLMES (Gu et al. 2024, § 3.3) reports it.

    Letters are compared by acc, which equals acc_norm for single letters; cloze by acc_norm.
    """
    return max(results, key=lambda name: -1.0 if (share := results[name]["acc_norm"]) is None else share)


def rows_of(results: Mapping[str, Results]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all benchmarks."""
    for name, found in results.items():
        yield from (
            {"benchmark": name, **{key: value for key, value in row.items() if key != "chance"}} for row in found.rows
        )
