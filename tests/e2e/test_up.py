"""`textmill up` as a whole: it heals, it stops, and it leaves nothing behind, however it ends.

Also covers: flows/servers/supervisor.py
Also covers: flows/servers/up.py
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from data_lake.store.home import Home
from flows.servers.connect import connect, is_up, up_state
from tests.live_up import Up, copy_of, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("initialised")).ensure()
    connection = connect(home, {})
    connection.wait()
    connection.close()
    return home


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def busy(up: Up) -> str:
    flow_run_id = up.trigger("waiting/rerun", seconds=600)
    eventually(lambda: "Running" in up.task_states(flow_run_id), 60, "a flow runs")
    return flow_run_id


def test_a_fresh_home_is_ready_in_time(tmp_path: Path) -> None:
    up = Up.start(Home(tmp_path / "home").ensure())
    try:
        words = up.output().split()
        assert int(words[words.index("after") + 1]) <= 20
    finally:
        up.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(number: signal.Signals, initialised: Home, tmp_path: Path) -> None:
    up = Up.start(copy_of(initialised, tmp_path / "home"))
    flow_run_id = busy(up)
    processes = up.processes()
    assert len(processes) >= 5, "two servers, the runner, the flow, and `up`"
    up.process.send_signal(number)
    code = up.process.wait(60)
    if number == signal.SIGKILL:
        eventually(lambda: all_gone(processes), 30, "everything has ended")
    else:
        assert all_gone(processes)
        assert code == 0
        assert "Traceback" not in up.output()
    assert up_state(up.home) is None

    again = Up.start(up.home)
    try:
        eventually(lambda: again.run(flow_run_id)["state_type"] == "CRASHED", 10, "the run that was ended is Crashed")
        eventually(lambda: again.task_states(flow_run_id) == ["Crashed"], 60, "and so is its task")
    finally:
        again.stop()


def test_what_dies_is_started_again_at_the_same_address(initialised: Home, tmp_path: Path) -> None:
    up = Up.start(copy_of(initialised, tmp_path / "home"))
    try:
        before = up_state(up.home)
        for words in ("servers.host prefect", "servers.host mlflow", "small_flows"):
            up.child(words).kill()
        flow_run_id = eventually(lambda: asked(up), 60, "the API answers again")
        eventually(lambda: up.run(flow_run_id)["state_name"] == "Completed", 90, "flows run again")
        assert before is not None
        eventually(lambda: is_up(f"{before['mlflow_url']}/health"), 30, "MLflow answers again")
        assert up_state(up.home) == before
        assert up.output().count("will be restarted") >= 3
    finally:
        up.stop()


def test_after_a_kill_the_addresses_are_the_same(initialised: Home, tmp_path: Path) -> None:
    up = Up.start(copy_of(initialised, tmp_path / "home"))
    before = up_state(up.home)
    assert before is not None
    up.process.kill()
    up.process.wait()
    port = before["prefect_url"].rpartition(":")[2]
    code = f"from flows.servers.up import up; up('other', prefect_port={port}, mlflow_port=0, serve=['false'])"
    environment = os.environ | {"TEXTMILL_HOME": str(up.home.root)}
    again = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "is taken" not in again.stdout


def asked(up: Up) -> str | None:
    try:
        return up.trigger("waiting/rerun", seconds=0)
    except Exception:
        return None


def test_a_second_one_says_where_the_first_is(initialised: Home, tmp_path: Path) -> None:
    up = Up.start(copy_of(initialised, tmp_path / "home"))
    try:
        state = up_state(up.home)
        assert state is not None
        code = "import sys; from flows.servers.up import up; sys.exit(up('other'))"
        environment = os.environ | {"TEXTMILL_HOME": str(up.home.root)}
        second = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert second.returncode == 0
        assert state["prefect_url"] in second.stdout
        assert state["mlflow_url"] in second.stdout
        connection = connect(up.home, {})
        assert (connection.origin, connection.api_url) == ("up", f"{state['prefect_url']}/api")
        assert connection.tracking_uri == state["mlflow_url"]
        connection.wait()
    finally:
        up.stop()


def test_a_pause_by_the_user_survives_and_a_downtime_does_not_stampede(initialised: Home, tmp_path: Path) -> None:
    up = Up.start(copy_of(initialised, tmp_path / "home"), "--every", "3")
    schedule = up.deployment("ticking/nightly")["schedules"][0]
    assert schedule["active"]
    eventually(lambda: [r for r in up.runs("ticking/nightly") if r["state_name"] == "Completed"], 60, "a run")
    up.process.kill()
    up.process.wait()
    time.sleep(20)  # six runs are missed

    up = Up.start(up.home, "--every", "3600", "--grace", "0")
    states = [run["state_name"] for run in up.runs("ticking/nightly")]
    assert states.count("Skipped") >= 4
    deployment = up.deployment("ticking/nightly")
    schedule = deployment["schedules"][0]
    assert schedule["active"]
    path = f"deployments/{deployment['id']}/schedules/{schedule['id']}"
    up.api.patch(path, json={"active": False}).raise_for_status()
    up.stop()

    up = Up.start(up.home, "--every", "3600")
    assert not up.deployment("ticking/nightly")["schedules"][0]["active"]
    up.stop()


def test_taken_ports_give_way_and_say_so(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(initialised, tmp_path / "home")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    code = f"from flows.servers.up import up; up('other', prefect_port={port}, mlflow_port=0, serve=['false'])"
    environment = os.environ | {"TEXTMILL_HOME": str(home.root)}
    failed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert f"Port {port} is taken by another program; prefect gets" in failed.stdout
    assert "The runner of the deployments did not start." in failed.stderr
    taken.close()
