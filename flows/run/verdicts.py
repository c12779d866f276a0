"""The Prefect flows that judge models: `compare` puts runs side by side, `promote` moves the alias `champion`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed

from data_lake.store.home import Home
from data_lake.store.lake import Artifact
from flows.comparing.comparison import compare as comparison_of
from flows.comparing.text import as_text
from flows.comparing.tracked import leave_in_prefect, log_comparison
from flows.recipe.promote import PromoteConfig
from flows.run.promote import Candidate, candidate_of
from flows.run.promote import promote as promote_candidate
from flows.servers.reconcile import hold_flow_lock
from tasks.tracking.terminal import log
from tasks.tracking.watch import Tracker


@flow(name="compare", log_prints=False)
def compare(
    subjects: list[str] = ["last~1", "last"],  # noqa: B006
    metrics: list[str] = [],  # noqa: B006
    alpha: float = 0.05,
) -> None:
    """Put runs, variants or models side by side, with paired tests of their scores.

    The text and a table are artifacts of this flow run; MLflow has a figure of the differences, in textmill/compare.

    Args:
        subjects: what to compare with the first: last~1, last@d6, an id, a name, or models such as pretrain/3f2a
        metrics: the only metrics to test, such as bits_per_byte; empty for all
        alpha: chance of calling equal models better or worse, over all rows
    """
    home = Home.from_env()
    with hold_flow_lock(home, str(flow_run.id)):
        made = comparison_of(subjects, home, metrics=metrics, alpha=alpha)
        get_run_logger().info("\n" + as_text(made))
        leave_in_prefect(made)
        if (left := log_comparison(made, home)) is not None:
            get_run_logger().warning(left)


@flow(name="promote", log_prints=False)
def promote(model: str = "last", config: PromoteConfig = PromoteConfig()) -> State[Any]:  # noqa: B008
    """Make a model the champion of MLflow's registry if it is not worse than the present one.

    The flow run ends as Promoted or NotPromoted, with the reason.

    Args:
        model: a pipeline run (its last model) such as last, or a model such as sft/3f2a
        config: which metrics count, and how sure to be
    """
    home = Home.from_env()
    with hold_flow_lock(home, str(flow_run.id)):
        return judged(candidate_of(model, home), config, home)


def judged_in_run(model: Artifact | None, evaluation: Artifact | None, name: str, config: PromoteConfig) -> State[Any]:
    """Promote a model that the pipeline of this flow run made or found, or not; return the state of the flow."""
    if model is None or evaluation is None:
        why = "the model is no longer in the lake; nothing needed it, as its evaluation is there"
        return Completed(name="NotPromoted", message=why, data="NotPromoted")
    home = Home.from_env()
    with hold_flow_lock(home, str(flow_run.id)):
        return judged(Candidate(model, evaluation, name), config, home)


def judged(candidate: Candidate, config: PromoteConfig, home: Home) -> State[Any]:
    """Promote a candidate or not, inside a flow run that holds its lock; return the state that the flow ends in."""
    logger = get_run_logger()
    tags = {"prefect.flow_run_id": str(flow_run.id), "prefect.flow_run_url": flow_run.ui_url}
    tracker = Tracker(home)
    try:
        found, version = promote_candidate(
            candidate, config, home, tracker, logger=logger, measuring=_in_a_task,
            tags={name: value for name, value in tags.items() if value},
        )  # fmt: skip
    finally:
        if (left := tracker.close()) is not None:
            logger.warning(left)
    if found.comparison is not None:
        leave_in_prefect(found.comparison)
        log_comparison(found.comparison, home)
    name = "Promoted" if found.promoted else "NotPromoted"
    logger.info(f"{name}: {version}. {found.why}")
    log(f"{'★ promoted' if found.promoted else '– not promoted'}: {version}. {found.why}")
    return Completed(name=name, message=f"{version}: {found.why}", data=name)


def _in_a_task(build: Callable[[], Artifact]) -> Artifact:
    """Evaluate the champion as a task of its own, which waits for the accelerator like the stages do."""
    made: list[Artifact] = []

    def body() -> None:
        made.append(build())

    task(name="evaluate-champion", cache_policy=NO_CACHE, persist_result=False, tags=["gpu"])(body)()
    return made[0]
