"""Flows that last as long as they are told, and a process that serves them as `textmill up` serves the real ones."""

import argparse
import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

from prefect import flow, task
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.runtime import flow_run
from prefect.schedules import Interval
from prefect.types.entrypoint import EntrypointType

from data_lake.store.home import Home
from flows.run.deployments import SLUG, serve
from flows.servers.parent_watch import end_with
from flows.servers.reconcile import hold_flow_lock


@task
def wait(seconds: float) -> None:
    """Something that takes time."""
    time.sleep(seconds)


@flow
def waiting(seconds: float = 0.0, gpu: bool = False) -> None:
    """Holds its lock as the pipeline does, and leaves its process id where a test can find it."""
    home = Home.from_env()
    with hold_flow_lock(home, str(flow_run.id)):
        pid_file(home, str(flow_run.id)).write_text(str(os.getpid()))
        (wait.with_options(tags={"gpu"}) if gpu else wait)(seconds)


@flow
def ticking() -> None:
    """What a schedule starts."""


def pid_file(home: Home, flow_run_id: str) -> Path:
    """Where a flow run writes its process id."""
    return home.run / f"test-{flow_run_id}.pid"


def main() -> None:
    """Serves both flows; `--parent` as in flows/run/deployments.py."""
    import small_flows  # by the name that the flow runs' processes import it by, not __main__

    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--grace", type=float, default=300.0)
    parser.add_argument("--parent", type=int)
    options = parser.parse_args()
    if options.parent is not None:
        end_with(options.parent)
    dropping = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW, grace_period_seconds=60
    )
    module = EntrypointType.MODULE_PATH
    served = [
        small_flows.ticking.to_deployment(
            "nightly",
            schedule=Interval(timedelta(seconds=options.every), slug=SLUG),
            concurrency_limit=dropping,
            entrypoint_type=module,
        ),
        small_flows.waiting.to_deployment("rerun", entrypoint_type=module),
    ]
    asyncio.run(serve(served, Home.from_env().ensure(), grace=timedelta(seconds=options.grace)))


if __name__ == "__main__":
    main()
