"""Finding and starting servers: one embedded server for everybody, none left behind, sentences when it fails.

Also covers: flows/servers/mlflow_db.py
Also covers: flows/servers/parent_watch.py
Also covers: flows/servers/environment.py
Also covers: flows/servers/host.py
Also covers: flows/servers/state.py
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from data_lake.store.home import Home
from flows.servers.connect import connect, is_up, listen, url_of
from flows.servers.mlflow_db import init_mlflow
from flows.servers.state import ServerError
from tests.live_up import copy_of, eventually, stopped

CLIENT = """
import sys
from data_lake.store.home import Home
from flows.servers.connect import connect
connection = connect(Home.from_env(), {})
connection.wait()
print(connection.api_url, flush=True)
sys.stdin.read()
"""


def client(home: Home) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        env=os.environ | {"TEXTMILL_HOME": str(home.root)},
        cwd=home.root.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_at_once_share_a_server_that_outlives_one_and_not_both(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(
        initialised, tmp_path / "a home? #1 [*] 100%41 ü"
    )  # what URLs, patterns and SQL would read otherwise
    first, second = client(home), client(home)
    try:
        url = address(first)
        assert url.startswith("http://127.0.0.1:")
        assert address(second) == url
        assert list(tmp_path.iterdir()) == [home.root], "a database was made under another name"
        first.send_signal(signal.SIGKILL)
        first.wait()
        time.sleep(6)
        assert is_up(f"{url}/health"), "the server went away while a client was left"
    finally:
        second.kill()
        second.wait()
        first.kill()
    eventually(lambda: stopped(home), 20, "the server has ended after its last client was killed")
    assert not is_up(f"{url}/health")


@pytest.mark.e2e
def test_a_killed_server_is_replaced(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(initialised, tmp_path / "home")
    connection = connect(home, {})
    connection.wait()
    owners = subprocess.run(["pgrep", "-f", f"servers.host prefect --home {home.root}"], capture_output=True, text=True)
    for pid in owners.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    eventually(lambda: stopped(home), 5, "the kernel has released the lock of the killed server")
    other = connect(home, {})
    other.wait()
    assert is_up(f"{other.api_url}/health")
    other.close()
    connection.close()


def test_a_warm_server_is_found_and_refuses_foreign_pages(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(initialised, tmp_path / "home")
    first = connect(home, {})
    first.wait()
    first.close()
    began = time.monotonic()
    connection = connect(home, {})
    connection.wait()
    assert connection.api_url == first.api_url
    assert time.monotonic() - began < 1

    url = f"{connection.api_url}/flows/filter"
    own = connection.api_url.removesuffix("/api")
    assert httpx.post(url, json={}).status_code == 200
    assert httpx.post(url, json={}, headers={"Origin": own}).status_code == 200
    assert httpx.post(url, json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert httpx.post(url, content=b"{}", headers={"Origin": "null"}).status_code == 403
    assert httpx.post(url, json={}, headers={"Host": "evil.example:4200"}).status_code == 403
    pages = httpx.get(f"{own}/", follow_redirects=True)
    assert "<html" in pages.text.lower()
    connection.close()


def test_the_users_servers_are_used(home: Path) -> None:
    user = {"PREFECT_API_URL": "http://127.0.0.1:9/api/", "MLFLOW_TRACKING_URI": "http://127.0.0.1:10"}
    connection = connect(Home(home).ensure(), user)
    assert (connection.origin, connection.api_url) == ("user", "http://127.0.0.1:9/api")
    assert connection.tracking_uri == "http://127.0.0.1:10"
    assert not (home / "run" / "embedded.lock").exists()
    with pytest.raises(ServerError, match=r"PREFECT_API_URL=http://127\.0\.0\.1:9/api"):
        connection.wait()


def test_a_broken_database_is_told_in_a_sentence(home: Path) -> None:
    broken = Home(home).ensure()
    (broken.prefect / "prefect.db").write_bytes(b"this is no database" * 100)
    broken.mlflow_db.write_bytes(b"this is no database" * 100)
    connection = connect(broken, {})
    with pytest.raises(ServerError, match=r"Prefect's database .* is damaged"):
        connection.wait()
    with pytest.raises(ServerError, match="Move the file away"):
        init_mlflow(broken)
    connection.close()


def test_four_at_once_make_one_mlflow_database(home: Path) -> None:
    fresh = Home(home).ensure()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: init_mlflow(fresh), range(4)))
    with sqlite3.connect(fresh.mlflow_db) as database:
        assert len(database.execute("SELECT version_num FROM alembic_version").fetchall()) == 1
    assert [path.name for path in fresh.root.glob("mlflow*")] == ["mlflow.db"]
    began = time.monotonic()
    init_mlflow(fresh)
    assert time.monotonic() - began < 0.1


def test_a_taken_port_gives_way() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = listen("127.0.0.1", port)
    assert second.getsockname()[1] != port
    assert url_of(second) == f"http://127.0.0.1:{second.getsockname()[1]}"
    with pytest.raises(ServerError, match=r"Cannot listen on 192\.0\.2\.1 port 0"):
        listen("192.0.2.1", 0)
    first.close()
    second.close()


def test_a_server_ends_when_its_home_is_deleted(initialised: Home, tmp_path: Path) -> None:
    home = copy_of(initialised, tmp_path / "home")
    connection = connect(home, {})
    connection.wait()
    shutil.rmtree(home.root, ignore_errors=True)  # the server may write into it meanwhile
    shutil.rmtree(home.root, ignore_errors=True)
    home.ensure()  # somebody makes a new home at the same place, whose files are not this server's
    eventually(lambda: not is_up(f"{connection.api_url}/health"), 20, "the server has ended with its home")
    connection.close()
    eventually(lambda: not processes_of(home), 20, "no process is left")


def processes_of(home: Home) -> list[str]:
    found = subprocess.run(["pgrep", "-f", f"servers.host .* --home {home.root}"], capture_output=True, text=True)
    return found.stdout.split()
