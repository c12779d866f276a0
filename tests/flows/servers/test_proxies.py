"""Loopback never goes through a proxy: not the health checks, not Prefect's client, not MLflow's."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_lake.store.home import Home
from flows.servers.proxies import around_proxies, opener_of
from tasks.corpus.crawl.proxies import Proxies
from tasks.stage.errors import PermanentError
from tests.live_up import Up, copy_of

CLIENT = """
import sys
from data_lake.store.home import Home
from flows.servers.connect import connect
connection = connect(Home.from_env(), {})
connection.apply()
connection.wait(60)
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    client.hello().raise_for_status()
from mlflow import MlflowClient
print(connection.origin, len(MlflowClient(tracking_uri=connection.tracking_uri).search_experiments()))
"""


@pytest.fixture
def proxy() -> Iterator[tuple[dict[str, str], list[bytes]]]:
    """The environment of a machine behind a proxy, and what was said to that proxy, which answers nothing."""
    said: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                said.append(connection.recv(200))

    threading.Thread(target=listen, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    yield dict.fromkeys(names, url), said
    listener.close()


def run_client(home: Home, environment: dict[str, str]) -> str:
    environ = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | environment
    environ |= {"TEXTMILL_HOME": str(home.root)}
    result = subprocess.run([sys.executable, "-c", CLIENT], env=environ, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_an_embedded_server_is_reached_without_the_proxy(
    initialised: Home, tmp_path: Path, proxy: tuple[dict[str, str], list[bytes]]
) -> None:
    environment, said = proxy
    assert run_client(copy_of(initialised, tmp_path / "home"), environment).startswith("embedded")
    assert said == []


def test_the_servers_of_up_are_reached_without_the_proxy(up: Up, proxy: tuple[dict[str, str], list[bytes]]) -> None:
    environment, said = proxy
    assert run_client(up.home, environment).startswith("up ")
    assert said == []


def test_the_proxy_is_kept_for_the_rest_of_the_world(
    monkeypatch: pytest.MonkeyPatch, proxy: tuple[dict[str, str], list[bytes]]
) -> None:
    environment, said = proxy
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name, value in around_proxies(os.environ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError):  # noqa: PT011 - the proxy hangs up
        opener_of("http://example.org/").open("http://example.org/", timeout=10)
    assert said[0].startswith(b"GET http://example.org/")
    assert urllib.request.proxy_bypass("localhost")


def test_what_the_user_excepted_stays() -> None:
    given = around_proxies({"NO_PROXY": "corp.example, .intern"}, "http://10.0.0.5:4200", None)
    assert given["no_proxy"] == given["NO_PROXY"] == "corp.example,.intern,127.0.0.1,localhost,::1,10.0.0.5"
    assert around_proxies(given) == {name: given["no_proxy"].removesuffix(",10.0.0.5") + ",10.0.0.5" for name in given}
    assert around_proxies({"no_proxy": "*"})["NO_PROXY"] == "*"


@pytest.mark.parametrize(
    "environment",
    [
        {"ALL_PROXY": "socks5h://127.0.0.1:9"},
        {"http_proxy": "ftp://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:port"},
        {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "[::1] ; fe80::/10, intern.test:8080 a:b"},
    ],
)
def test_what_httpx_cannot_read_stops_none_of_our_clients(environment: dict[str, str]) -> None:
    given = environment | around_proxies(environment)
    script = "import httpx as h; c = h.Client(); print(c._transport_for_url(h.URL('http://[::1]:1')) is c._transport)"
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    made = subprocess.run([sys.executable, "-c", script], env=clean | given, capture_output=True, text=True, timeout=60)
    assert made.stdout == "True\n", made.stderr


def test_a_proxy_that_our_clients_cannot_use_is_kept_for_the_crawl_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    for _ in range(2):  # a process that a process of ours starts does it again
        for name, value in around_proxies(os.environ).items():
            monkeypatch.setenv(name, value)
    assert Proxies().of("http://127.0.0.1:4200/") is None
    with pytest.raises(PermanentError, match=r"not an HTTP proxy \(socks5://127"):
        Proxies().of("http://example.org/")
