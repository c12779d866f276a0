"""Runs stages inside a flow run: resolves what the lake has, builds the rest as Prefect tasks, in the right order."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff

from data_lake.fingerprint import sha256_of
from data_lake.home import Home, explain
from data_lake.store import Artifact, Lake
from flows.graph import STAGES, scope, targets
from flows.plan import differences, may_be_deferred, require_sound
from flows.recipe import Recipe
from flows.reconcile import hold_flow_lock
from flows.report import Report
from tasks.stage import BuildResult, Stage
from tasks.tracking import Tracker, TrackingWatch

# Faults that waiting a few seconds does not heal.
LASTING_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}


class StageFailed(Exception):
    """A stage failed; the message says which and why, and the original error is its cause."""


class _ContentMoved(Exception):
    """A lost artifact was rebuilt and says something else than before; what was decided upon it is decided again."""


@dataclass
class Handle:
    """One stage's result within a run: its key and content, and its artifact if that has been looked up or built.

    An artifact that was lost from the lake stays away (`artifact` None) as long as nothing must read it: the lake
    remembers its content, which is all that the keys after it need.
    """

    stage: Stage
    key: str = ""
    content: str = ""
    artifact: Artifact | None = None
    upstream: tuple[Handle, ...] = ()
    state: State[Any] | None = None
    in_scope: bool = True


@dataclass
class PipelineRun:
    """The stages of one flow run. `run(stage, *upstream)` returns a handle; `unsettled()` drives the rounds."""

    recipe: Recipe
    until: str | None = None
    force: Collection[str] = ()
    graph: Mapping[str, Stage] = field(default_factory=lambda: STAGES)
    home: Home = field(default_factory=Home.from_env)

    def __post_init__(self) -> None:
        stages = scope(self.until, self.graph)
        self.lake = Lake(self.home.lake)
        self._scope = {stage.name for stage in stages}
        self._targets = targets(stages)
        self._built: dict[str, BuildResult] = {}
        self._stack = contextlib.ExitStack()
        self._settled = False
        self._rounds = 0

    def __enter__(self) -> PipelineRun:
        require_sound(self.recipe, self.lake, self.force, self.until, self.graph)
        self.home.ensure()
        self._stack.enter_context(hold_flow_lock(self.home, str(flow_run.id)))
        self.tracker = Tracker(self.home)
        self.report = Report(self.home, self.recipe, self.tracker, str(flow_run.id), flow_run.ui_url, self.until)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.report.close(error)
            if (left := self.tracker.close()) is not None:
                get_run_logger().warning(left)
                self.report.log(f"! {left}")
        finally:
            self._stack.close()

    def unsettled(self) -> bool:
        """Whether the graph has to be walked (again). A second round is needed only when a lost artifact came back
        with another content than it had."""
        if self._settled:
            return False
        self._rounds += 1
        self._settled = True
        return True

    def __call__(self, stage: Stage, *upstream: Handle) -> Handle:
        """Resolve one stage: a hit, a lost artifact that nothing needs yet, or a build."""
        names = tuple(handle.stage.name for handle in upstream)
        if names != stage.upstream:
            raise TypeError(f"The stage {stage.name} reads {stage.upstream}, but the graph gives it {names}.")
        if stage.name not in self._scope or not self._settled:
            return Handle(stage, in_scope=False)
        config = getattr(self.recipe, stage.name)
        handle = Handle(stage, upstream=upstream)
        handle.key = sha256_of(stage.payload(config, {h.stage.name: h.content for h in upstream}))
        if stage.name in self._built and self._built[stage.name].artifact.key == handle.key:
            return self._resolved(handle, self._built[stage.name])
        found = stage.find(self.lake, handle.key)
        lost = not isinstance(found, Artifact) and found.kind == "missing"
        remembered = self.lake.remembered_content(stage.name, handle.key)
        deferrable = may_be_deferred(stage, config, stage.name in self._targets) and stage.name not in self.force
        if lost and remembered and deferrable:
            handle.content = remembered
            self.report.stage(stage.name, None, "not in the lake any more, and not needed")
            return handle
        usable = isinstance(found, Artifact) and stage.name not in self.force and not stage.too_old(config, found)
        try:
            self._run(handle, reading=not usable)
        except _ContentMoved:
            self._settled = False
        return handle

    def _run(self, handle: Handle, *, reading: bool) -> None:
        """Run the stage's task; first bring back what it must read, if it will be built."""
        if reading:
            for upstream in handle.upstream:
                self._bring_back(upstream)
        upstreams = {u.stage.name: u.artifact for u in handle.upstream if u.artifact is not None}
        waits = [u.state for u in handle.upstream if u.state is not None]
        config = getattr(self.recipe, handle.stage.name)
        results: list[BuildResult] = []
        with self._failures(handle.stage):
            state = self._task_of(handle, config, upstreams, results)(
                config=config.model_dump(mode="json"), wait_for=waits, return_state=True
            )
            handle.state = state
            if not state.is_completed():
                state.result()  # raises what the stage raised
        result = results[-1]
        self._built[handle.stage.name] = result
        self._resolved(handle, result)
        self.report.stage(handle.stage.name, result)

    def _resolved(self, handle: Handle, result: BuildResult) -> Handle:
        handle.artifact, handle.content = result.artifact, result.artifact.content
        return handle

    def _bring_back(self, handle: Handle) -> None:
        """Make sure that an artifact about to be read is there and whole, every byte of it."""
        found = handle.stage.find(self.lake, handle.key, deep=True)
        if isinstance(found, Artifact):
            handle.artifact = found
            return
        self._warn(f"{handle.stage.name} has to be built again: {found.reason}.")
        before = handle.content
        self._run(handle, reading=True)
        if handle.content != before:
            self._warn(f"{handle.stage.name} came back with other content; what follows is checked again.")
            raise _ContentMoved

    def _warn(self, text: str) -> None:
        """Say it in the run's log, which the server keeps, and in the terminal."""
        get_run_logger().warning(text)
        self.report.log(f"! {text}")

    def _task_of(
        self, handle: Handle, config: Any, upstreams: dict[str, Artifact], results: list[BuildResult]
    ) -> Task[..., Any]:
        stage, hit = handle.stage, self._is_hit(handle)

        def body(config: dict[str, Any]) -> State[Any]:
            typed = getattr(self.recipe, stage.name)
            watch = TrackingWatch(
                self.tracker,
                logger=get_run_logger(),
                tags=self.report.tags(),
                model_name=self.recipe.name or "textmill",
                terminal=self.report.on_terminal,
            )
            contents = {u.stage.name: u.content for u in handle.upstream}
            first_attempt = (task_run.run_count or 1) == 1 and (flow_run.run_count or 1) == 1
            result = stage.build(
                self.lake,
                typed,
                upstreams,
                force=stage.name in self.force and not self._made_by_this_run(handle),
                attempt=1 if first_attempt else 2,
                watch=watch,
                contents=contents,
                why=None if hit else "; ".join(differences(stage, stage.payload(typed, contents), self.lake)),
            )
            results.append(result)
            get_run_logger().info(f"{result.artifact.name}: {result.status} ({result.reason})")
            name = "Cached" if result.status == "cached" else "Completed"
            message = result.artifact.name + ("" if result.status == "cached" else f" built: {result.reason}")
            return Completed(name=name, message=message, data=result.artifact.name)

        return task(
            name=stage.name,
            task_run_name=stage.name,
            retries=stage.retries,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.2,
            retry_condition_fn=is_retryable,
            cache_policy=NO_CACHE,
            persist_result=False,
            tags=["gpu"] if stage.gpu and not hit else [],
        )(body)

    def _is_hit(self, handle: Handle) -> bool:
        """A hit computes nothing, so it need not wait for the accelerator slot."""
        return handle.stage.name not in self.force and isinstance(
            self.lake.lookup(handle.stage.name, handle.key), Artifact
        )

    def _made_by_this_run(self, handle: Handle) -> bool:
        """Whether an earlier attempt at this same flow run already rebuilt what is forced."""
        found = self.lake.lookup(handle.stage.name, handle.key)
        return isinstance(found, Artifact) and found.manifest.runs.get("prefect.flow_run_id") == str(flow_run.id)

    @contextlib.contextmanager
    def _failures(self, stage: Stage) -> Iterator[None]:
        try:
            yield
        except (_ContentMoved, StageFailed):
            raise
        except Exception as error:
            text = explain(error, self.home.root) if isinstance(error, OSError) and error.errno else str(error)
            name = "" if isinstance(error, OSError) and error.errno else f"{type(error).__name__}: "
            self.report.stage(stage.name, None, f"failed: {text}", failed=True)
            raise StageFailed(f"The stage {stage.name} failed. {name}{text}") from error


def is_retryable(_task: Task[..., Any], _run: Any, state: State[Any]) -> bool:
    """Faults of disks and networks may pass; a bad config, bad data or a bug will not."""
    try:
        state.result()
    except (OSError, TimeoutError) as error:
        return getattr(error, "errno", None) not in LASTING_FAULTS
    except Exception:
        return False
    return False
