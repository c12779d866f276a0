"""The runner: carries out the resolver's decisions inside a flow run, each node as a Prefect task, in order."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run, task_run
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff

from data_lake.store.home import Home, explain
from data_lake.store.lake import Artifact, Lake
from flows.graph.node import AnyNode, Graph, Node
from flows.graph.plan import require_sound
from flows.graph.price import prices
from flows.graph.resolve import Decision, Resolver
from flows.recipe.recipe import RecipeBase
from flows.run.report import Line, Report
from flows.servers.reconcile import hold_flow_lock
from tasks.stage import BuildResult
from tasks.tracking.watch import Tracker, TrackingWatch

# Errors that do not go away after a few seconds.
LASTING_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR}


class NodeFailed(Exception):
    """A node failed; the message says which and why, and the original error is its cause."""


def run_graph(
    graph: Graph, recipe: RecipeBase, until: Collection[str] = (), force: Collection[str] = ()
) -> dict[str, Line]:
    """Run a graph inside the current flow run; return the outcome of each node by its name.

    Artifacts that the lake has are `Cached`; missing ones are built. Raises RecipeError before anything runs if a node
    would fail, and NodeFailed if one did.
    """
    with GraphRun(graph, recipe, until, force) as run:
        run.execute()
    return run.report.lines


class GraphRun:
    """The progress of one flow run through a graph."""

    def __init__(
        self, graph: Graph, recipe: RecipeBase, until: Collection[str] = (), force: Collection[str] = ()
    ) -> None:
        self.graph, self.recipe, self.until, self.force = graph, recipe, tuple(until), tuple(force)
        self.home = Home.from_env()
        self.lake = Lake(self.home.lake)
        self._done: dict[AnyNode, str] = {}  # node → the key that its task ended with
        self._states: dict[AnyNode, State[Any]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> GraphRun:
        require_sound(self.graph, self.lake, self.force, self.until, self.recipe.name)
        self.home.ensure()
        self._stack.enter_context(hold_flow_lock(self.home, str(flow_run.id)))
        self.tracker = Tracker(self.home)
        self.resolver = Resolver(self.graph, self.lake, self.force, self.until, self._made_by_this_run)
        nodes = [node for node in self.resolver.scope if isinstance(node, Node)]
        expected = prices(self.resolver.resolve(), self.lake)
        self.report = Report(
            self.home,
            self.recipe,
            nodes,
            self.tracker,
            str(flow_run.id),
            flow_run.ui_url,
            " and ".join(self.until),
            {node: price for node, price in expected.items() if isinstance(node, Node)},
        )
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

    def execute(self) -> None:
        """Run the first node that needs a task and decide again, until nothing is left."""
        while (decided := self.resolver.resolve()) and (step := self._next(decided)) is not None:
            assert isinstance(step.node, Node)
            if step.status == "run" and not self._inputs_are_whole(step.node, decided):
                continue
            result = self._run_task(step.node, step, decided)
            self._done[step.node] = result.artifact.key
            self.resolver.built(step.node, result.artifact)
            self.report.node(step.node, result)
        for node, decision in decided.items():
            if decision.status == "unneeded" and isinstance(node, Node):
                self.report.node(node, None, "no longer in the lake, and not needed")

    def _next(self, decided: dict[AnyNode, Decision]) -> Decision | None:
        """Return the first decision that still needs a task."""
        for node, decision in decided.items():
            if isinstance(node, Node) and decision.status in ("hit", "run") and self._done.get(node) != decision.key:
                return decision
            if decision.status == "fails":
                raise NodeFailed(f"{node.name} cannot be used: {' '.join(decision.reasons)}")
        return None

    def _inputs_are_whole(self, node: Node, decided: dict[AnyNode, Decision]) -> bool:
        """Check every byte that is about to be read; damaged nodes are decided again."""
        whole = True
        for one in node.inputs.values():
            found = decided[one].artifact
            assert found is not None, f"{node.name} would be built before {one.name}"
            checked = self.lake.lookup(found.stage, found.key, deep=True)
            if not isinstance(checked, Artifact):
                self.resolver.damaged(one, checked.reason)
                self._done.pop(one, None)
                self._warn(f"{one.name} has to be built again: {checked.reason}.")
                whole = False
        return whole

    def _warn(self, text: str) -> None:
        """Write a message to the run's log, which the server keeps, and to the terminal."""
        get_run_logger().warning(text)
        self.report.log(f"! {text}")

    # -- one node ------------------------------------------------------------------------------------------------------

    def _run_task(self, node: Node, step: Decision, decided: dict[AnyNode, Decision]) -> BuildResult:
        results: list[BuildResult] = []
        inputs = {role: found for role, one in node.inputs.items() if (found := decided[one].artifact) is not None}
        contents = {role: content for role, one in node.inputs.items() if (content := decided[one].content) is not None}
        waits = [self._states[one] for one in node.inputs.values() if one in self._states]
        with self._failures(node):
            state = self._task_of(node, step, inputs, contents, results)(
                config=node.config.model_dump(mode="json"), wait_for=waits, return_state=True
            )
            self._states[node] = state
            if not state.is_completed():
                state.result()  # raises what the stage raised
        return results[-1]

    def _task_of(
        self,
        node: Node,
        step: Decision,
        inputs: dict[str, Artifact],
        contents: dict[str, str],
        results: list[BuildResult],
    ) -> Task[..., Any]:
        stage, is_hit = node.stage, step.status == "hit"

        def body(config: dict[str, Any]) -> State[Any]:
            watch = TrackingWatch(
                self.tracker,
                logger=get_run_logger(),
                tags=self.report.tags(),
                node=node.name,
                variant=", ".join(label for label in node.users if label) or None,
                model_name=self.recipe.name or "textmill",
                terminal=self.report.on_terminal,
            )
            first_attempt = (task_run.run_count or 1) == 1 and (flow_run.run_count or 1) == 1
            result = stage.build(
                self.lake,
                node.config,
                inputs,
                force=step.anew,
                attempt=1 if first_attempt else 2,
                watch=watch,
                contents=contents,
                why=None if is_hit else "; ".join(step.reasons),
            )
            results.append(result)
            get_run_logger().info(f"{result.artifact.name}: {result.status} ({result.reason})")
            name = "Cached" if result.status == "cached" else "Completed"
            message = result.artifact.name + ("" if result.status == "cached" else f" built: {result.reason}")
            return Completed(name=name, message=message, data=result.artifact.name)

        return task(
            name=stage.name,
            task_run_name=node.name,
            retries=stage.retries,
            retry_delay_seconds=exponential_backoff(2),
            retry_jitter_factor=0.2,
            retry_condition_fn=is_retryable,
            cache_policy=NO_CACHE,
            persist_result=False,
            # a hit computes nothing, so it does not have to wait for the accelerator slot
            tags=["gpu"] if stage.gpu and not is_hit else [],
        )(body)

    def _made_by_this_run(self, artifact: Artifact) -> bool:
        """Whether an earlier attempt of this flow run built it, so that a forced node is not built twice."""
        return artifact.manifest.runs.get("prefect.flow_run_id") == str(flow_run.id)

    @contextlib.contextmanager
    def _failures(self, node: Node) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            text = explain(error, self.home.root) if isinstance(error, OSError) and error.errno else str(error)
            name = "" if isinstance(error, OSError) and error.errno else f"{type(error).__name__}: "
            self.report.node(node, None, f"failed: {text}", failed=True)
            raise NodeFailed(f"The stage {node.name} failed. {name}{text}") from error


def is_retryable(_task: Task[..., Any], _run: Any, state: State[Any]) -> bool:
    """Whether a retry may help: disk and network errors may be temporary; a bad config, bad data or a bug is not."""
    try:
        state.result()
    except (OSError, TimeoutError) as error:
        return getattr(error, "errno", None) not in LASTING_FAULTS
    except Exception:
        return False
    return False
