"""Pipeline runs as MLflow has them, and which of them a name, an id or `last~1@variant` refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.store.home import Home
from flows.recipe.errors import nearest

if TYPE_CHECKING:
    from mlflow.entities import Run

MAX_RUNS = 5000
MIN_PREFIX = 4


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
        near = nearest(wanted, [name for run in runs for name in (run.recipe_name, run.name)])
        hint = f" Did you mean {near}?" if near else ""
        raise CompareError(
            f"There is no pipeline run {wanted!r}. The newest are {newest}; `last` and `last~1` work too.{hint}"
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
    near = nearest(variant, names)
    hint = f" Did you mean {near}?" if near else ""
    raise CompareError(f"The run {which!r} has no variant {variant!r}; {there}.{hint}")


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
