"""Flow runs whose processes are killed: Prefect says Crashed, tasks included, and Retry runs them again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from data_lake.store.home import Home
from data_lake.store.locks import try_lock
from flows.servers.connect import connect
from flows.servers.reconcile import hold_flow_lock
from tests.live_up import SMALL_FLOWS, Up, copy_of, eventually

RUN = """
import os, sys
from data_lake.store.home import Home
from flows.servers.connect import connect
connection = connect(Home.from_env(), {})
connection.apply()
connection.wait()
from small_flows import waiting
waiting(float(sys.argv[1]))
"""
RECONCILE = """
from data_lake.store.home import Home
from flows.servers.connect import connect
connection = connect(Home.from_env(), {})
connection.apply()
connection.wait()
from prefect.client.orchestration import get_client
from flows.servers.reconcile import reconcile
with get_client(sync_client=True) as client:
    print(reconcile(client, Home.from_env(), own_server=True))
    print([run.state_name for run in client.read_flow_runs()], [run.state_name for run in client.read_task_runs()])
"""


def process_of(up: Up, flow_run_id: str) -> psutil.Process:
    path = up.home.run / f"test-{flow_run_id}.pid"
    pid = eventually(lambda: path.exists() and path.read_text(), 60, "the flow run has written its process id")
    eventually(lambda: "Running" in up.task_states(flow_run_id), 30, "the task is Running")
    return psutil.Process(int(pid))


def test_a_killed_flow_run_and_its_task_are_crashed_and_retry_runs_it(up: Up) -> None:
    flow_run_id = up.trigger("waiting/rerun", seconds=600)
    process_of(up, flow_run_id).kill()
    eventually(lambda: up.run(flow_run_id)["state_name"] == "Crashed", 10, "the killed run is Crashed")
    eventually(lambda: up.task_states(flow_run_id) == ["Crashed"], 40, "the task run of the killed run is Crashed")

    (up.home.run / f"test-{flow_run_id}.pid").unlink()
    body = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}  # as the Retry button says it
    up.api.post(f"flow_runs/{flow_run_id}/set_state", json=body).raise_for_status()
    process = process_of(up, flow_run_id)
    states = ["Crashed", "Running"]
    eventually(lambda: sorted(up.task_states(flow_run_id)) == states, 30, "only the retry's task run is Running")
    process.kill()
    eventually(lambda: up.run(flow_run_id)["state_name"] == "Crashed", 10, "the retried and killed run is Crashed")


@pytest.mark.e2e
def test_a_retry_does_not_wait_for_the_gpu_of_its_killed_attempt(up: Up) -> None:
    flow_run_id = up.trigger("waiting/rerun", seconds=600, gpu=True)
    process_of(up, flow_run_id).kill()
    eventually(lambda: up.run(flow_run_id)["state_name"] == "Crashed", 10, "the killed run is Crashed")
    (up.home.run / f"test-{flow_run_id}.pid").unlink()
    body = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    up.api.post(f"flow_runs/{flow_run_id}/set_state", json=body).raise_for_status()
    process = process_of(up, flow_run_id)
    states = ["Crashed", "Running"]
    eventually(lambda: sorted(up.task_states(flow_run_id)) == states, 60, "the retry's task run got the GPU")
    process.kill()


@pytest.mark.e2e
def test_runner_and_flow_killed_together(up: Up) -> None:
    flow_run_id = up.trigger("waiting/rerun", seconds=600)
    process, runner = process_of(up, flow_run_id), up.child("small_flows")
    runner.kill()
    process.kill()
    run = eventually(
        lambda: (now := up.run(flow_run_id))["state_name"] == "Crashed" and now, 30, "the orphaned run is Crashed"
    )
    assert run["state"]["message"] == "Its process is gone. Retry resumes it."
    # Prefect stores the states of task runs some seconds after those of flow runs.
    eventually(lambda: up.task_states(flow_run_id) == ["Crashed"], 60, "its task run is Crashed")
    assert "The runner of the deployments ended (signal SIGKILL)" in up.output()
    later = up.trigger("waiting/rerun", seconds=0)
    eventually(lambda: up.run(later)["state_name"] == "Completed", 60, "the runner that was started again runs flows")


@pytest.mark.e2e
def test_the_gpu_is_for_one_at_a_time_and_free_again_after_a_kill(up: Up) -> None:
    first = up.trigger("waiting/rerun", seconds=600, gpu=True)
    holder = process_of(up, first)
    second = up.trigger("waiting/rerun", seconds=0, gpu=True)
    eventually(lambda: up.run(second)["state_name"] == "Running", 60, "the second flow runs")
    time.sleep(8)
    assert up.task_states(second) != ["Completed"], "two tasks had the one GPU at once"
    holder.kill()
    eventually(lambda: up.run(second)["state_name"] == "Completed", 60, "the second got the GPU of the killed one")


@pytest.mark.e2e
def test_a_flow_ends_with_its_runner(up: Up) -> None:
    flow_run_id = up.trigger("waiting/rerun", seconds=600)
    process = process_of(up, flow_run_id)
    up.child("-m small_flows").kill()
    eventually(lambda: not process.is_running(), 20, "the flow's process has ended after its runner was killed")
    eventually(lambda: up.run(flow_run_id)["state_name"] == "Crashed", 20, "its run is Crashed")


def test_the_next_run_tells_that_the_last_was_killed(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(initialised, tmp_path / "home")
    environment = os.environ | {"TEXTMILL_HOME": str(home.root), "PYTHONPATH": str(SMALL_FLOWS)}
    warm = connect(home, {})
    process = subprocess.Popen([sys.executable, "-c", RUN, "600"], env=environment)
    eventually(lambda: list(home.run.glob("test-*.pid")), 60, "the flow runs")
    time.sleep(1)  # its task's state travels as an event
    told = subprocess.run([sys.executable, "-c", RECONCILE], env=environment, capture_output=True, text=True)
    assert told.stdout == "0\n['Running'] ['Running']\n", told.stderr
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = subprocess.run([sys.executable, "-c", RECONCILE], env=environment, capture_output=True, text=True)
    assert told.stdout == "1\n['Crashed'] ['Crashed']\n", told.stderr
    warm.close()


def test_the_lock_is_held_for_the_body_and_leaves_no_file(home: Path) -> None:
    flow_run_id = uuid4()
    path = home / "run" / "flows" / f"{flow_run_id}.lock"
    with hold_flow_lock(Home(home), flow_run_id):
        assert try_lock(path) is None
    assert not path.exists()
