"""Python's own documentation server: it starts, is the same twice, and does not outlive us."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.crawl.pages import pages_fingerprint
from tasks.corpus.crawl.pydoc_server import pydoc_server
from tasks.stage import local_output


def get(address: str, page: str) -> str:
    with urllib.request.urlopen(f"http://{address}/{page}", timeout=20) as answer:
        return answer.read().decode()


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex((host, int(port))) == 0


def test_pages_are_the_same_from_every_process_and_only_of_the_standard_library():
    with pydoc_server(2) as addresses:
        assert len(set(addresses)) == 2
        first, second = (get(address, "textwrap.html") for address in addresses)
        assert first == second
        assert "Remove&nbsp;any&nbsp;common&nbsp;leading&nbsp;whitespace" in first
        assert "pytest" not in get(addresses[0], "index.html")
        assert str(Path.home()) not in get(addresses[0], "posix.html")
    assert not any(listens(address) for address in addresses)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server ends when it has rendered its page")
def test_the_server_dies_with_a_killed_parent():
    script = (
        "import time; from tasks.corpus.crawl.pydoc_server import pydoc_server\n"
        "with pydoc_server() as addresses: print(*addresses, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4]
    )
    assert parent.stdout is not None
    address = parent.stdout.readline().strip()
    assert listens(address)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while listens(address) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(address)


def test_two_crawls_of_it_have_the_same_content(tmp_path):
    config = CrawlConfig(
        server="pydoc", delay=0.0, per_host=4, include=(r"/(index|topics|textwrap|json|re|os)\.html$",),
        digest_ignore=("0x[0-9a-f]{6,}",),
    )  # fmt: skip
    for name in "ab":
        crawl(config, local_output(tmp_path / name))
    assert pages_fingerprint(tmp_path / "a") == pages_fingerprint(tmp_path / "b")
    urls = pq.read_table(tmp_path / "a" / "pages.parquet")["url"].to_pylist()
    assert "http://python-docs.localhost/textwrap.html" in urls
    assert len(urls) >= 5
