"""Comparing two pipeline runs: which settings and results differ, and whether the difference is more than noise."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from data_lake.store.home import Home

if TYPE_CHECKING:
    from mlflow.entities import Run

MAX_RUNS = 5000
MIN_PREFIX = 4
# `acc_stderr` belongs to `acc`, and `acc_stderr_pretrain` to `acc_pretrain`.
STDERR = re.compile(r"_stderr(?=_|$)")
# Half-width of a 95 % interval in standard errors of the difference, under the normal approximation.
Z = 1.96

Significance = Literal["different", "not distinguishable"]


class CompareError(Exception):
    """There is no such run to compare; the message is a full sentence."""


@dataclass(frozen=True)
class PipelineRecord:
    """A pipeline run as MLflow has it."""

    run_id: str
    name: str
    status: str
    started_at: int  # milliseconds since 1970
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: Mapping[str, str]  # stage -> artifact name
    variant: str | None = None
    flow_run_id: str | None = None  # shared by the variants of one run

    @property
    def recipe_name(self) -> str:
        """The name of the run without its variant."""
        return self.name.replace(f"@{self.variant}", "", 1) if self.variant else self.name


@dataclass(frozen=True)
class Change:
    """A parameter, or a stage's artifact, that differs; None if a run has none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class MetricChange:
    """A metric in both runs. The verdict needs a standard error in both, logged as `<metric>_stderr`."""

    name: str
    before: float | None
    after: float | None
    difference: float | None
    stderr: float | None  # of the difference
    verdict: Significance | None


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    before: PipelineRecord
    after: PipelineRecord
    parameters: list[Change]
    artifacts: list[Change]
    metrics: list[MetricChange]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `textmill compare --json`."""
        head = ("run_id", "name", "variant", "status", "started_at")
        return {
            "runs": [{name: getattr(run, name) for name in head} for run in (self.before, self.after)],
            "parameters": [asdict(change) for change in self.parameters],
            "artifacts": [asdict(change) for change in self.artifacts],
            "metrics": [asdict(change) for change in self.metrics],
        }


def compare(before: PipelineRecord, after: PipelineRecord) -> Comparison:
    """Return what differs between two runs, and all metrics, whether they differ or not."""
    names = [name for name in {**before.metrics, **after.metrics} if not STDERR.search(name)]
    return Comparison(
        before,
        after,
        _changes(before.parameters, after.parameters),
        _changes(before.artifacts, after.artifacts),
        [_metric_change(name, before.metrics, after.metrics) for name in names],
    )


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    return [
        Change(name, before.get(name), after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _metric_change(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> MetricChange:
    """One metric's change. The runs' errors are assumed to be independent. On the same items they are positively
    correlated, so the verdict "different" is safe, and "not distinguishable" may be too cautious."""
    old, new = before.get(name), after.get(name)
    if old is None or new is None:
        return MetricChange(name, old, new, None, None, None)
    difference = new - old
    errors = [value for run in (before, after) for key, value in run.items() if key != name == STDERR.sub("", key)]
    if len(errors) < 2:
        return MetricChange(name, old, new, difference, None, None)
    stderr = math.hypot(*errors)
    verdict: Significance = "different" if abs(difference) > Z * stderr else "not distinguishable"
    return MetricChange(name, old, new, difference, stderr, verdict)


# -- finding runs ------------------------------------------------------------------------------------------------------


def pipeline_runs(home: Home) -> list[PipelineRecord]:
    """All pipeline runs that MLflow knows, newest first. Raises CompareError if it cannot be asked."""
    from tasks.tracking.mlflow_client import Sender
    from tasks.tracking.watch import PIPELINE_EXPERIMENT

    sender = Sender(home)
    if sender.uri == home.mlflow_uri and not home.mlflow_db.exists():
        return []  # a query would create the database
    try:
        experiment = sender.client.get_experiment_by_name(PIPELINE_EXPERIMENT)
        if experiment is None:
            return []
        order = ["attributes.start_time DESC"]
        found = sender.client.search_runs([experiment.experiment_id], max_results=MAX_RUNS, order_by=order)
    except Exception as error:  # whatever mlflow, sqlalchemy or the network raise
        raise CompareError(f"MLflow at {sender.uri} cannot be asked for runs: {error}") from error
    return [_record(run) for run in found]


def find_run(wanted: str, runs: Sequence[PipelineRecord]) -> PipelineRecord:
    """Return the run that `wanted` refers to, as in `find_runs`; for a run with variants it must name one.

    `runs` are newest first. Raises CompareError.
    """
    found = find_runs(wanted, runs)
    names = dict.fromkeys(run.variant for run in reversed(found))
    if len(names) > 1:
        choices = " or ".join(f"{wanted}@{name}" for name in names if name)
        raise CompareError(f"The run {wanted!r} has {len(names)} variants; say which one: {choices}.")
    return found[0]


def find_runs(wanted: str, runs: Sequence[PipelineRecord]) -> list[PipelineRecord]:
    """Return the variants of the pipeline run that `wanted` refers to: `last`, `last~2`, an id or its first letters, or
    a name (its newest run); with `@variant` after it, only that one.

    `runs` are newest first. Raises CompareError.
    """
    if not runs:
        raise CompareError("MLflow has no pipeline run yet; `textmill run demo` makes one.")
    which, at, variant = wanted.partition("@")
    found = _runs_of(which, variant if at else None, runs) if which else []
    if not found:
        newest = ", ".join(f"{run.run_id[:8]} ({run.name})" for run in runs[:5])
        raise CompareError(
            f"There is no pipeline run {wanted!r}. The newest are {newest}; `last` and `last~1` work too."
        )
    if at:
        return [run for run in found if run.variant == variant] or _no_variant(which, variant, found)
    return found


def _runs_of(which: str, variant: str | None, runs: Sequence[PipelineRecord]) -> list[PipelineRecord]:
    """The variants of the pipeline run that `which` refers to, none if there is no such run. The id of an MLflow run
    refers to that run only, unless another variant of its pipeline run is asked for."""
    together: dict[str, list[PipelineRecord]] = {}
    for run in runs:
        together.setdefault(run.flow_run_id or run.run_id, []).append(run)
    every = list(together.values())
    if which == "last" or which.startswith("last~"):
        back = "0" if which == "last" else which.partition("~")[2]
        if not back.isdecimal() or int(back) >= len(every):
            raise CompareError(
                f"There is no run {which!r}: MLflow knows {len(every)}, so last~{len(every) - 1} is the first."
            )
        return every[int(back)]
    if len(which) >= MIN_PREFIX:
        by_id = [run for run in runs if run.run_id.startswith(which)]
        by_flow = [variants for flow_run_id, variants in together.items() if flow_run_id.startswith(which)]
        groups = {id(together[run.flow_run_id or run.run_id]) for run in by_id} | {id(group) for group in by_flow}
        if len(groups) > 1 or (len(by_id) > 1 and variant is None):
            raise CompareError(f"{which!r} begins the ids of {max(len(groups), len(by_id))} runs; give more of the id.")
        if by_id:
            return by_id if variant is None else together[by_id[0].flow_run_id or by_id[0].run_id]
        if by_flow:
            return by_flow[0]
    by_name = [variants for variants in every if any(run.recipe_name == which for run in variants)]
    has_it = [variants for variants in by_name if any(run.variant == variant for run in variants)]
    return next(iter(has_it or by_name), [])


def _no_variant(which: str, variant: str, runs: Sequence[PipelineRecord]) -> list[PipelineRecord]:
    names = list(dict.fromkeys(run.variant for run in reversed(runs) if run.variant))
    there = f"it has {', '.join(names)}" if names else "it has no variants"
    raise CompareError(f"The run {which!r} has no variant {variant!r}; {there}.")


def _record(run: Run) -> PipelineRecord:
    tags: Mapping[str, str] = run.data.tags
    prefix = "textmill.stage."
    stages = {tag.removeprefix(prefix): value for tag, value in tags.items() if tag.startswith(prefix)}
    return PipelineRecord(
        run.info.run_id,
        run.info.run_name or "",
        run.info.status,
        run.info.start_time,
        dict(run.data.params),
        {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")},
        # "built dedup/1a2b" or "cached dedup/1a2b"; a failed stage names no artifact
        {stage: value.split()[-1] for stage, value in stages.items() if "/" in value},
        tags.get("variant"),
        tags.get("prefect.flow_run_id"),
    )
