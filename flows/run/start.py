"""Running the pipeline from the command line: start the servers, run the flow, report its outcome."""

from __future__ import annotations

import errno
import importlib
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from data_lake.store.home import Home, HomeError, explain
from data_lake.store.lake import Lake
from flows.graph.plan import require_sound
from flows.graph.variants import graph_of
from flows.recipe.promote import PromoteConfig
from flows.recipe.recipe import Recipe
from flows.run.rerun import rerun_scope
from flows.servers.connect import Connection, ServerError, connect, up_state
from flows.servers.databases import database_problem
from tasks.tracking.terminal import log

# A database needs a few pages for one more row; below this, writes fail although a small file would still fit.
ALMOST_NOTHING_BYTES = 4_000_000


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run: `problem` is a sentence if it failed, `outcome` what the flow returned, as text."""

    ok: bool
    problem: str | None
    prefect_url: str | None
    mlflow_url: str | None
    outcome: str = ""
    chat_url: str | None = None


def run_pipeline(recipe: Recipe, until: Collection[str] = (), force: Collection[str] = ()) -> RunResult:
    """Run the pipeline in this process, as the Prefect flow `pipeline`.

    Raises RecipeError if a node would fail, UnknownNode.
    """
    require_sound(graph_of(recipe), Lake(Home.from_env().lake), force, until, recipe.name)
    return _run("flows.run.flows", lambda flows: flows.pipeline(config=recipe, until=list(until), force=list(force)))


def rerun_stage(recipe: Recipe, name: str, downstream: bool, force: bool) -> RunResult:
    """Rerun a stage, or one node of it, in this process, as the Prefect flow `stage-<name>`, as the UI would.

    Raises RecipeError if a node would fail, UnknownNode.
    """
    graph = graph_of(recipe)
    stage = graph.select(name)[0].stage.name
    until = rerun_scope(graph, name, downstream=downstream)
    require_sound(graph, Lake(Home.from_env().lake), [name] if force else [], until, recipe.name)
    node = name if name != stage else ""
    return _run(
        "flows.run.flows",
        lambda flows: flows.STAGE_FLOWS[stage](
            config=recipe.config(stage), recipe=recipe, node=node, downstream=downstream, force=force
        ),
    )


def promote_model(model: str, config: PromoteConfig) -> RunResult:
    """Promote a model in this process, or not, as the Prefect flow `promote`; the outcome is the name of its state."""
    return _run("flows.run.verdicts", lambda flows: flows.promote(model=model, config=config))


def _run(module: str, call: Callable[[Any], object]) -> RunResult:
    """Start what servers are missing, import a module of flows, and call one of them."""
    home = Home.from_env()
    connection: Connection | None = None
    try:
        home.ensure()
        connection = connect(home)
        connection.apply()
        # The imports take as long as the start of the server, so they run at the same time.
        flows = importlib.import_module(module)
        connection.wait()
        _mark_dead_runs(connection)
        with connection.quick_flows():
            outcome = call(flows)
    except (HomeError, ServerError) as error:
        return _result(connection, str(error.args[-1]))
    except OSError as error:
        return _result(connection, explain(error, home.root))
    except SyntaxError:
        raise  # the command line reports its location
    except Exception as error:  # the details are in the flow's log; the command prints one sentence
        return _result(connection, _disk_fault(home) or str(error) or type(error).__name__)
    finally:
        if connection is not None:
            connection.close()
    return _result(connection, None, str(outcome or ""))


def _disk_fault(home: Home) -> str | None:
    """A sentence about a full or read-only disk, a deleted home or a damaged database; Prefect reports none of them."""
    if not home.run.exists():
        return f"The home {home.root} was deleted or moved away during the run."
    if problem := database_problem(home):
        return problem
    try:
        home.ensure()
        if shutil.disk_usage(home.root).free < ALMOST_NOTHING_BYTES:
            return explain(OSError(errno.ENOSPC, "full"), home.root)
    except HomeError as error:
        return str(error.args[-1])
    except OSError as error:
        return explain(error, home.root)
    return None


def _mark_dead_runs(connection: Connection) -> None:
    """Mark runs that were killed since the last command as crashed, or they would be shown as running forever."""
    from prefect.client.orchestration import get_client

    from flows.servers.reconcile import ensure_slots, reconcile

    try:
        with get_client(sync_client=True) as client:
            own_server = connection.origin != "user"
            if own_server:
                ensure_slots(client, "gpu")
            reconcile(client, connection.home, own_server=own_server)
    except Exception as error:  # a failed clean-up must not stop a run
        log(f"! Runs that were killed could not be marked as crashed: {error}")


def _result(connection: Connection | None, problem: str | None, outcome: str = "") -> RunResult:
    prefect_url = connection.ui_url if connection and connection.origin != "embedded" else None
    chat_url = (up_state(connection.home) or {}).get("models_url") if connection else None
    mlflow_url = connection.mlflow_url if connection else None
    return RunResult(problem is None, problem, prefect_url, mlflow_url, outcome, chat_url)
