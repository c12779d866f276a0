"""Runs lm-evaluation-harness on a model of the lake."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.evaluation.harness.adapter import adapter_of
from tasks.evaluation.harness.local import naming_rows, offline, task_of
from tasks.stage import Artifact, PermanentError
from tasks.training.trained import load_trained

MISSING = (
    "lm-eval is not installed. pip cannot resolve it beside textmill (docs/dependencies.md says why), so install what "
    "it imports and then itself: pip install 'textmill[harness]', then pip install --no-deps lm-eval==0.4.13."
)


@dataclass(frozen=True)
class Measured:
    """One metric of one task, as lm-eval names it; the standard error is None if lm-eval has none."""

    task: str
    metric: str
    value: float
    stderr: float | None
    n: int


def run_harness(
    artifact: Artifact,
    tasks: Mapping[str, Sequence[str]],
    *,
    shots: int | None = None,
    limit: int | None = None,
    device: str = "auto",
    bootstrap: int = 1000,
) -> list[Measured]:
    """Return lm-eval's metrics of a model on its tasks, whose rows are in local files.

    tasks: the name of each task -> its files. shots: lm-eval's num_fewshot, None = each task's own. PermanentError says
    what is not there.
    """
    from model.hardware import choose_device
    from model.scoring import Scorer
    from tasks.evaluation.evaluate.writing import Writer

    with offline():
        try:
            from lm_eval import simple_evaluate
            from lm_eval.tasks import TaskManager
        except ImportError as error:
            raise PermanentError(MISSING) from error
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        model, tokenizer = load_trained(artifact, str(choose_device(device)))
        scorer = Scorer(model, tokenizer.encode, tokenizer.bos)
        manager = TaskManager()
        with naming_rows(tasks):
            given = [task_of(manager, name, paths, shots or 0) for name, paths in tasks.items()]
            found = simple_evaluate(
                model=adapter_of(scorer, Writer(model, tokenizer)),
                tasks=given,
                num_fewshot=shots,
                limit=limit,
                bootstrap_iters=bootstrap,
                task_manager=manager,
                log_samples=False,
            )
    return [one for name, metrics in found["results"].items() for one in _measured(name, metrics)]


def _measured(task: str, metrics: Mapping[str, Any]) -> list[Measured]:
    """Return the metrics of a task: `acc,none` and `acc_stderr,none` are one."""
    rows = []
    for key, value in metrics.items():
        metric, comma, kind = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        error = metrics.get(f"{metric}_stderr,{kind}")
        stderr = float(error) if isinstance(error, int | float) else None
        label = metric if kind == "none" else f"{metric} ({kind})"
        rows.append(Measured(task, label, float(value), stderr, int(metrics.get("sample_len", 0))))
    return rows
