"""The real deployments, as the UI's API and a Prefect worker use them: forms, one stage again, a work pool.

Also covers: flows/servers/recipe_watch.py
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.home import Home
from tests.live_up import Up, eventually

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
STAGES = (
    "crawl",
    "clean",
    "dedup",
    "decontaminate",
    "pairs",
    "tokenizer",
    "tokenize",
    "pretrain",
    "sft",
    "seq2seq",
    "benchmarks",
    "questions",
    "evaluate",
)
MINUTES = 60


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe whose data stages take seconds."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text("extends: demo\nname: tiny\ncrawl:\n  max_pages: 30\n")
    return str(path)


@pytest.fixture(scope="module")
def up(tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up.start(Home(tmp_path_factory.mktemp("up")).ensure(), recipe=tiny)
    yield running
    running.stop()


def test_an_edited_recipe_reaches_the_deployments_and_a_deleted_one_is_told(up: Up, tiny: str) -> None:
    before = Path(tiny).read_text()

    def pages(name: str = "pipeline/nightly") -> int:
        return int(up.deployment(name)["parameters"]["config"]["crawl"]["max_pages"])

    Path(tiny).write_text(before.replace("30", "thirty"))
    eventually(lambda: "the deployments keep its earlier values" in up.output(), 3 * MINUTES, "the mistake is told")
    assert "crawl.max_pages" in up.output()
    assert pages() == 30
    Path(tiny).write_text(before.replace("30", "31"))
    eventually(lambda: pages() == 31, 3 * MINUTES, "the deployments have the new value")
    eventually(lambda: "have its new values" in up.output(), 3 * MINUTES, "it is told")
    assert up.deployment("stage-crawl/rerun")["parameters"]["config"]["max_pages"] == 31
    up.api.delete(f"deployments/{up.deployment('stage-sft/rerun')['id']}").raise_for_status()
    eventually(
        lambda: "The deployment stage-sft/rerun was deleted in Prefect" in up.output(), 3 * MINUTES, "it is told"
    )
    Path(tiny).write_text(before)
    eventually(lambda: pages() == 30, 3 * MINUTES, "the deployments have the old value again")
    eventually(lambda: up.output().count("have its new values") == 2, 3 * MINUTES, "it is told")
    assert up.output().count("was deleted in Prefect") == 1


def rerun(up: Up, stage: str, **changes: Any) -> dict[str, tuple[str, str]]:
    """Runs a stage as the form does, which sends all that it shows; {stage: (state, message)}."""
    shown = up.deployment(f"stage-{stage}/rerun")["parameters"]
    flow_run_id = up.trigger(f"stage-{stage}/rerun", **shown | {"config": shown["config"] | changes})
    eventually(lambda: up.run(flow_run_id)["state_type"] in ("COMPLETED", "FAILED", "CRASHED"), 10 * MINUTES, "an end")
    body = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    return {
        run["name"]: (run["state_name"], run["state"]["message"])
        for run in up.api.post("task_runs/filter", json=body).json()
    }


def test_every_flow_is_deployed_with_the_recipes_values(up: Up) -> None:
    nightly = up.deployment("pipeline/nightly")
    assert nightly["parameters"]["config"]["name"] == "tiny"
    (schedule,) = nightly["schedules"]
    assert schedule["active"]
    assert schedule["schedule"]["cron"] == "0 3 * * *"
    assert schedule["parameters"]["config"]["crawl"]["max_age"] == 3600
    assert nightly["parameters"]["config"]["crawl"]["max_age"] is None, "only the schedule refreshes sources"
    assert nightly["global_concurrency_limit"]["limit"] == 1
    for stage in STAGES:
        deployment = up.deployment(f"stage-{stage}/rerun")
        schema = deployment["parameter_openapi_schema"]
        assert deployment["parameters"]["config"] == nightly["parameters"]["config"][stage]
        name = schema["properties"]["config"]["$ref"].rpartition("/")[2]
        for field, form in schema["definitions"][name]["properties"].items():
            assert form.get("description"), f"The form of {stage} does not say what {field} is."


def test_one_stage_again_with_a_changed_field(up: Up) -> None:
    first = rerun(up, "dedup")
    assert {name: state for name, (state, _) in first.items()} == dict.fromkeys(
        ("crawl", "clean", "dedup"), "Completed"
    )
    again = rerun(up, "dedup", threshold=0.7)
    assert {name: state for name, (state, _) in again.items()} == {
        "crawl": "Cached",
        "clean": "Cached",
        "dedup": "Completed",
    }
    assert again["dedup"][1].split()[0] != first["dedup"][1].split()[0], "the same artifact for another threshold"


def test_a_value_out_of_range_is_refused_with_its_field(up: Up) -> None:
    deployment = up.deployment("stage-dedup/rerun")
    parameters = deployment["parameters"] | {"config": deployment["parameters"]["config"] | {"threshold": 7}}
    answer = up.api.post(f"deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters})
    assert answer.status_code == 409
    assert "config.threshold" in answer.text


def test_a_work_pool_and_a_worker(tiny: str, tmp_path: Path) -> None:
    """`textmill deploy` on a server that no `up` serves, for workers of a process pool."""
    from flows.servers.connect import connect

    home = Home(tmp_path / "home").ensure()
    connection = connect(home, {})
    connection.wait()
    environment = os.environ | {
        "PREFECT_API_URL": connection.api_url,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "TEXTMILL_HOME": str(home.root),
        "MLFLOW_TRACKING_URI": home.mlflow_uri,
    }

    def prefect(*arguments: str) -> str:
        return called("prefect", "--no-prompt", *arguments)

    def called(module: str, *arguments: str) -> str:
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=5 * MINUTES)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    try:
        for _ in range(2):  # a second time they get the same names again
            called("flows.cli.main", "deploy", tiny, "--pool", "mills")
        listed = json.loads(prefect("deployment", "ls", "-o", "json"))
        assert len(listed) == len(STAGES) + 1
        prefect("deployment", "run", "stage-crawl/rerun")
        prefect("worker", "start", "--pool", "mills", "--run-once")
        assert list((home.lake / "crawl").glob("*/manifest.json")), "the worker has crawled"
    finally:
        connection.close()
