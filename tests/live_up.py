"""A living `textmill up` in a test, and what its API says; by default it serves two small flows."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from data_lake.store.home import Home
from data_lake.store.locks import try_lock
from flows.servers.connect import up_state

SMALL_FLOWS = Path(__file__).resolve().parent / "flows"
START_UP = """
import sys
from flows.servers.up import up
recipe, *arguments = sys.argv[1:]
serve = None if recipe else [sys.executable, "-m", "small_flows", *arguments]
sys.exit(up(recipe or "small", prefect_port=0, mlflow_port=0, serve=serve))
"""


def eventually(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of `check`; fails the test when there is none within `seconds`."""
    give_up = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < give_up, f"After {seconds:g} s still not: {what}"
        time.sleep(0.1)
    return value


def stopped(home: Home) -> bool:
    """Whether no embedded server lives."""
    descriptor = try_lock(home.run / "embedded.lock")
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def copy_of(home: Home, root: Path) -> Home:
    """A home of its own with the same databases."""
    copy = Home(root).ensure()
    shutil.copytree(home.prefect, copy.prefect, dirs_exist_ok=True)
    shutil.copy(home.mlflow_db, copy.mlflow_db)
    shutil.copy(home.run / "mlflow-db.json", copy.run)
    return copy


class PatientClient(httpx.Client):
    """Repeats what a busy server on SQLite answers with 503, as Prefect's own client does."""

    def request(self, *arguments: Any, **named: Any) -> httpx.Response:
        for _ in range(20):
            answer = super().request(*arguments, **named)
            if answer.status_code != 503:
                break
            time.sleep(0.25)
        return answer


@dataclass
class Up:
    """A running `textmill up` and what its API says."""

    home: Home
    process: "subprocess.Popen[str]"
    api: httpx.Client

    @classmethod
    def start(cls, home: Home, *arguments: str, recipe: str | None = None) -> "Up":
        """Starts it, with the deployments of `recipe` or the small flows, and waits until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
        environment |= {"TEXTMILL_HOME": str(home.root), "PYTHONPATH": str(SMALL_FLOWS), "PYTHONUNBUFFERED": "1"}
        log = (home.logs / "up.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-c", START_UP, recipe or "", *arguments],
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
        )
        log.close()
        state = eventually(lambda: process.poll() is not None or up_state(home), 120, "`up` is ready")
        assert process.poll() is None, (home.logs / "up.log").read_text()
        api = PatientClient(base_url=f"{state['prefect_url']}/api/", timeout=30)
        return cls(home, process, api)

    def stop(self) -> str:
        """Ends it as Ctrl-C does; returns what it printed."""
        self.api.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        return self.output()

    def output(self) -> str:
        """What it has printed so far."""
        return (self.home.logs / "up.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """It and everything below it."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def child(self, words: str) -> psutil.Process:
        """The process below it whose command line contains `words`."""
        living = [child for child in self.processes()[1:] if child.status() != psutil.STATUS_ZOMBIE]
        found = [child for child in living if words in " ".join(child.cmdline())]
        assert len(found) == 1, f"{len(found)} processes have {words!r} in their command line"
        return found[0]

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by "flow/name"."""
        return dict(self.api.get(f"deployments/name/{name}").raise_for_status().json())

    def trigger(self, name: str, **parameters: Any) -> str:
        """Starts a run of a deployment as the UI does; returns its id."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        answer = self.api.post(f"deployments/{self.deployment(name)['id']}/create_flow_run", json=body)
        return str(answer.raise_for_status().json()["id"])

    def run(self, flow_run_id: str) -> dict[str, Any]:
        """A flow run."""
        return dict(self.api.get(f"flow_runs/{flow_run_id}").raise_for_status().json())

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """All flow runs of a deployment, in the order in which they should start."""
        wanted = {"deployments": {"id": {"any_": [self.deployment(deployment)["id"]]}}}
        body = {**wanted, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.api.post("flow_runs/filter", json=body).raise_for_status().json())

    def task_states(self, flow_run_id: str) -> list[str]:
        """The states of a flow run's task runs."""
        body = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
        answer = self.api.post("task_runs/filter", json=body).raise_for_status().json()
        return [task_run["state_name"] for task_run in answer]
