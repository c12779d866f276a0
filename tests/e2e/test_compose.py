"""The commands of the compose file as real processes with its environment: they find each other and share a home.

What the containers add (image, network, volume) is not tried here: their names for each other become loopback, the
ports free ones, and the volume a folder.
"""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from flows.servers.connect import listen
from tests.deployments.test_files import COMPOSE, FOLDER, config, tool
from tests.flows.cli.untrained import untrained
from tests.live_up import PatientClient, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MINUTES = 60
KEY = "sk-compose"
PORTS = {"prefect": 4200, "mlflow": 5000, "models": 8000}


@dataclass
class Composed:
    """The services of the file, started in the order that it asks for."""

    folder: Path
    ports: dict[str, int]
    services: dict[str, Any]
    processes: dict[str, "subprocess.Popen[bytes]"]

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"

    def placed(self, text: str) -> str:
        """What the file says, with free ports of this machine and a folder for the volume."""
        for name, port in PORTS.items():
            own = str(self.ports[name])
            for host in (name, "127.0.0.1", "localhost"):
                text = text.replace(f"{host}:{port}", f"127.0.0.1:{own}")
            if text in (str(port), f"--port={port}"):
                text = text.replace(str(port), own)
        return re.sub(r"(?<!\w)/data\b", str(self.folder), text).replace("0.0.0.0", "127.0.0.1")

    def environment(self, service: str) -> dict[str, str]:
        given = image_environment() | self.services[service].get("environment", {})
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        return own | {name: self.placed(str(value)) for name, value in given.items()}

    def command(self, service: str) -> list[str]:
        said = self.services[service]
        words: list[str] = (said.get("entrypoint") or ["textmill"]) + said["command"]
        started = [sys.executable, "-m", "flows.cli.entry"] if words[0] == "textmill" else [tool(words[0])]
        return [*started, *map(self.placed, words[1:])]

    def start(self, service: str) -> None:
        """Start a service as soon as those that it depends on are healthy."""
        for other in self.services[service].get("depends_on", {}):
            eventually(functools.partial(self.is_healthy, other), 4 * MINUTES, f"{other} is healthy")
        with self.log(service).open("wb") as log:
            self.processes[service] = subprocess.Popen(
                self.command(service), env=self.environment(service), stdout=log, stderr=log, cwd=self.folder
            )

    def is_healthy(self, service: str) -> bool:
        """Whether the file's own check says so."""
        assert self.processes[service].poll() is None, self.output(service)
        kind, _, *arguments = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        check = [sys.executable, *map(self.placed, arguments)]
        return subprocess.run(check, capture_output=True, env=self.environment(service)).returncode == 0

    def log(self, service: str) -> Path:
        return self.folder / f"{service}.log"

    def output(self, service: str) -> str:
        return self.log(service).read_text()


def image_environment() -> dict[str, str]:
    """The variables that the image sets. Without the folder for compiled kernels: these would be compiled anew."""
    steps = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    (said,) = [step for step in steps if step.startswith("ENV ")]
    variables = dict(one.split("=", 1) for one in said.split()[1:])
    del variables["NUMBA_CACHE_DIR"]
    return variables


def free_ports() -> dict[str, int]:
    listeners = {name: listen("127.0.0.1", 0) for name in PORTS}
    ports = {name: one.getsockname()[1] for name, one in listeners.items()}
    for one in listeners.values():
        one.close()
    return ports


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("volume")
    untrained(folder)
    recipe = folder / "small.yaml"
    recipe.write_text("extends: demo\nname: small\ncrawl:\n  max_pages: 10\n")
    said = config(COMPOSE, TEXTMILL_API_KEY=KEY, RECIPE=str(recipe))
    assert said.returncode == 0, said.stderr
    made = Composed(folder, free_ports(), json.loads(said.stdout)["services"], {})
    try:
        for service in sorted(made.services, key=lambda name: len(made.services[name].get("depends_on", ()))):
            made.start(service)
        yield made
    finally:
        ended([psutil.Process(one.pid) for one in made.processes.values() if one.poll() is None])


def ended(parents: list[psutil.Process]) -> None:
    """End processes as a container does, with all that they have started."""
    every = [*parents]
    for parent in parents:
        with contextlib.suppress(psutil.NoSuchProcess):
            every += parent.children(recursive=True)
            parent.send_signal(signal.SIGTERM)
    for one in psutil.wait_procs(every, timeout=30)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def test_the_services_of_the_compose_file_find_each_other(composed: Composed) -> None:

    def is_ready() -> bool:
        assert composed.processes["pipeline"].poll() is None, composed.output("pipeline")
        return "Ready after" in composed.output("pipeline")

    eventually(is_ready, 4 * MINUTES, "the pipeline is ready")
    with PatientClient(base_url=f"{composed.url('prefect')}/api/", timeout=4 * MINUTES, trust_env=False) as prefect:
        listed = prefect.post("deployments/filter", json={}).raise_for_status().json()
        crawl = next(one for one in listed if "crawl" in one["tags"])
        assert crawl["parameters"]["config"]["max_pages"] == 10
        body = {"parameters": crawl["parameters"], "state": {"type": "SCHEDULED"}}
        run = prefect.post(f"deployments/{crawl['id']}/create_flow_run", json=body).raise_for_status().json()["id"]

        def state() -> str:
            return str(prefect.get(f"flow_runs/{run}").raise_for_status().json()["state_type"])

        eventually(lambda: state() in ("COMPLETED", "FAILED", "CRASHED"), 4 * MINUTES, "the run ends")
        assert state() == "COMPLETED", composed.output("pipeline")
    assert list((composed.folder / "lake" / "crawl").glob("*/manifest.json")), "it is in the shared home"
    with httpx.Client(base_url=f"{composed.url('mlflow')}/api/2.0/mlflow/", timeout=MINUTES, trust_env=False) as mlflow:

        def statuses() -> list[str]:
            found = mlflow.get("experiments/get-by-name", params={"experiment_name": "textmill/crawl"})
            if found.status_code == 404:
                return []
            wanted = {"experiment_ids": [found.raise_for_status().json()["experiment"]["experiment_id"]]}
            runs = mlflow.post("runs/search", json=wanted).raise_for_status().json().get("runs", [])
            return [str(one["info"]["status"]) for one in runs]

        eventually(
            lambda: statuses() == ["FINISHED"], 4 * MINUTES, "MLflow has the stage's run"
        )  # sent in its own time


def test_the_model_server_of_the_compose_file_answers_who_has_the_key(composed: Composed) -> None:
    with httpx.Client(base_url=composed.url("models"), timeout=MINUTES, trust_env=False) as client:

        def answers() -> bool:
            assert composed.processes["models"].poll() is None, composed.output("models")
            with contextlib.suppress(httpx.TransportError):
                return client.get("/health").status_code == 200
            return False

        eventually(answers, 4 * MINUTES, "the model server answers")
        body = {"prompt": "hello", "max_tokens": 4}
        assert client.post("/v1/completions", json=body).status_code == 401
        answer = client.post("/v1/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
        assert answer.raise_for_status().json()["usage"]["completion_tokens"] == 4
