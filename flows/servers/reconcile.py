"""Marks runs whose process is gone as Crashed in Prefect, where they would otherwise be Running for ever.

Prefect learns about the end of a flow run from the flow run's process, or from the runner that started it. If those are
killed it learns nothing, and a task run of a killed flow run is never corrected at all (seen with 3.8.8). So each flow
run holds a file lock, which the kernel releases when the process dies, and the next process that talks to the server
reports what the locks say. Retrying a crashed run resumes it, since every finished stage is in the lake.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from data_lake.store.home import Home
from data_lake.store.locks import try_lock
from flows.servers.parent_watch import end_with

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

_Found = TypeVar("_Found")
# The process id of the runner, set by flows/run/deployments.py for the flow runs that it starts.
RUNNER_VARIABLE = "TEXTMILL_RUNNER_PID"
# A flow run is Pending or Running for some seconds before its process has the lock: interpreter start and imports.
_YOUNG = timedelta(seconds=60)
# The states of task runs arrive as events after the end of their flow run.
_TASK_DELAY = timedelta(seconds=15)
_PAGE = 200  # the server's own limit


@contextmanager
def hold_flow_lock(home: Home, flow_run_id: UUID | str) -> Iterator[None]:
    """Hold the lock of a flow run while its body runs: as long as it is held, the flow run counts as alive.

    A flow that the runner of `textmill up` started also ends when its runner does, so that nothing is left behind.
    """
    if os.environ.get(RUNNER_VARIABLE) == str(os.getppid()):
        end_with(os.getppid())
    path = _lock_path(home, flow_run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock_existing(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def reconcile(client: "SyncPrefectClient", home: Home, *, own_server: bool, why: str = "its process is gone") -> int:
    """Set the runs of this home whose process is gone to Crashed; return how many flow runs that were.

    `own_server` says that the server serves only this home (textmill started it): then a run that has been active for a
    minute without ever taking its lock is dead too. On a shared server, only runs that left a lock file in this home
    are touched.
    """
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    active = {"type": {"any_": [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]}}
    flow_run_filter = FlowRunFilter.model_validate({"state": active})
    crashed = 0
    for run in _pages(lambda offset: client.read_flow_runs(flow_run_filter=flow_run_filter, offset=offset)):
        path = _lock_path(home, run.id)
        if not _is_dead(run, path, own_server):
            if run.run_count > 1:  # a retry; the tasks of its killed predecessor would keep their slots, the GPU's too
                _end_task_runs(client, {"id": {"any_": [run.id]}}, "an earlier attempt was killed", run.run_count)
            continue
        client.set_flow_run_state(run.id, Crashed(message=f"{_sentence(why)} Retry resumes it."), force=True)
        _end_task_runs(client, {"id": {"any_": [run.id]}}, why)
        path.unlink(missing_ok=True)
        crashed += 1
    if own_server:
        # The runner reports a killed flow run by itself, but never its task runs; after a retry it even completes.
        ended = {"type": {"any_": [StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED]}}
        before = {"before_": datetime.now(UTC) - _TASK_DELAY}
        _end_task_runs(client, {"state": ended, "end_time": before}, "its flow run ended without it")
    return crashed


def skip_missed_runs(client: "SyncPrefectClient", deployment_ids: list[UUID], grace: timedelta) -> int:
    """Cancel the scheduled runs that should have started more than `grace` ago, except the newest of each deployment.

    Prefect would execute all runs missed during a downtime at once. Returns how many were skipped. Call it while no
    runner is active.
    """
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.states import Cancelled

    def late_runs(deployment_id: UUID) -> "list[FlowRun]":
        wanted = FlowRunFilter.model_validate(
            {
                "deployment_id": {"any_": [deployment_id]},
                "state": {"type": {"any_": [StateType.SCHEDULED]}},
                "expected_start_time": {"before_": datetime.now(UTC)},
            }
        )
        newest_first = FlowRunSort.EXPECTED_START_TIME_DESC
        runs = _pages(lambda offset: client.read_flow_runs(flow_run_filter=wanted, sort=newest_first, offset=offset))
        return [run for run in runs if run.auto_scheduled]

    message = "Missed while nothing was running; a later run of the same schedule takes its place."
    skipped = 0
    for run in chain.from_iterable(late_runs(deployment_id)[1:] for deployment_id in deployment_ids):
        if run.expected_start_time is not None and datetime.now(UTC) - run.expected_start_time > grace:
            client.set_flow_run_state(run.id, Cancelled(name="Skipped", message=message), force=True)
            skipped += 1
    return skipped


def ensure_slots(client: "SyncPrefectClient", tag: str, slots: int = 1) -> None:
    """Limit how many task runs with `tag` run at once, unless the user has already set a limit for that tag."""
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_concurrency_limit_by_tag(tag)
    except ObjectNotFound:
        client.create_concurrency_limit(tag, slots)


def _lock_path(home: Home, flow_run_id: UUID | str) -> Path:
    return home.run / "flows" / f"{flow_run_id}.lock"


def _lock_existing(path: Path) -> int:
    """Lock the file at `path`, and make sure that it is still there: reconcile may delete it between open and lock."""
    while True:
        descriptor = try_lock(path)
        if descriptor is None:
            continue  # reconcile is checking it
        try:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _is_dead(run: "FlowRun", path: Path, own_server: bool) -> bool:
    if not path.exists():
        since = run.state.timestamp if run.state is not None else None
        # A worker of a work pool may run it on another machine, whose locks are not visible here.
        mine = own_server and run.work_pool_name is None
        return mine and since is not None and datetime.now(UTC) - since > _YOUNG
    held = try_lock(path)
    if held is None:
        return False
    os.close(held)
    return True


def _end_task_runs(
    client: "SyncPrefectClient", flow_runs: dict[str, Any], why: str, before_attempt: int | None = None
) -> None:
    """Set the unfinished task runs of the matching flow runs to Crashed; if given, only those of earlier attempts."""
    from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    parents = FlowRunFilter.model_validate(flow_runs)
    unfinished = TaskRunFilter.model_validate(
        {"state": {"type": {"any_": [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]}}}
    )
    for task_run in _pages(
        lambda offset: client.read_task_runs(flow_run_filter=parents, task_run_filter=unfinished, offset=offset)
    ):
        if before_attempt is None or task_run.flow_run_run_count < before_attempt:
            client.set_task_run_state(task_run.id, Crashed(message=_sentence(why)), force=True)


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:]}."


def _pages(read: Callable[[int], list[_Found]]) -> list[_Found]:
    """All results of a paged query, read before any of them is changed."""
    results: list[_Found] = []
    while page := read(len(results)):
        results += page
        if len(page) < _PAGE:
            break
    return results
