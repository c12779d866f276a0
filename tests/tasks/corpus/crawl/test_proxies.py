"""crawl/proxies.py: crawling, files of the web and S3 go through the environment's proxy; loopback never does."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher, Response
from tasks.corpus.crawl.proxies import Proxies
from tasks.corpus.crawl.remote import FetchError, fetched, list_bucket
from tasks.stage import PermanentError

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that serves one page for every host itself, refuses tunnels, and remembers what it was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            head += line
        assert isinstance(self.server, Proxy)
        self.server.heads.append(head)
        if head.startswith(b"CONNECT"):
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            body = b"<p>by way of a proxy"
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            self.wfile.write(answer % (len(body), body))


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with Proxy() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        yield server
        server.shutdown()


def get(url: str, config: CrawlConfig = CrawlConfig(delay=0.0)) -> Response:  # noqa: B008
    async def run() -> Response:
        async with Fetcher(config, {}) as fetcher:
            return await fetcher.get(url)

    return asyncio.run(run())


def test_a_page_comes_through_the_proxy(proxy: Proxy) -> None:
    answer = get("http://pages.test/a?b=1")
    assert (answer.status, answer.body) == (200, b"<p>by way of a proxy")
    assert proxy.heads[0].startswith(b"GET http://pages.test/a?b=1 HTTP/1.1\r\n")


def test_a_proxy_that_refuses_is_a_reason(proxy: Proxy) -> None:
    answer = get("https://pages.test/")
    assert answer.problem == "proxy"
    assert "status 403" in (answer.detail or "")
    assert proxy.heads[0].startswith(b"CONNECT pages.test:443")


def test_loopback_and_what_may_be_private_are_asked_directly(proxy: Proxy) -> None:
    own = CrawlConfig(delay=0.0, allow_private_hosts=["127.0.0.1", "localhost"])
    answer = get(f"{proxy.url}/direct", own)
    assert answer.status == 200
    assert proxy.heads[0].startswith(b"GET /direct HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["http://10.0.0.7/", "http://[::ffff:192.168.0.1]/", "http://localhost/"])
def test_a_proxy_is_no_way_around_the_guard_against_private_addresses(proxy: Proxy, url: str) -> None:
    assert get(url).problem == "private_address"
    assert proxy.heads == []


def test_a_password_of_the_proxy_is_sent_to_it_and_stands_nowhere_else(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:hush@"))
    answer = get("http://pages.test/")
    assert b"Proxy-Authorization: Basic " in proxy.heads[0]
    assert "hush" not in repr(answer)
    assert not any(name.lower() == "proxy-authorization" for name, _ in answer.request_headers)


def test_files_of_the_web_come_through_the_proxy(proxy: Proxy, tmp_path: Path) -> None:
    with fetched("http://files.test/a.txt", CrawlConfig(), tmp_path) as path:
        assert path.read_bytes() == b"<p>by way of a proxy"
    assert proxy.heads[0].startswith(b"GET http://files.test/a.txt HTTP/1.1\r\n")


def test_s3_goes_through_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    config = CrawlConfig(page_seconds=3.0, s3={"endpoint": "http://store.test", "region": "r"})
    with pytest.raises(FetchError):  # a page is no list of objects
        list_bucket("s3://bucket/folder/", config)
    assert proxy.heads[0].startswith(b"GET http://store.test/bucket")


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert Proxies().of("http://a.test/") is None
    monkeypatch.setenv("all_proxy", "gate.corp:3128")
    monkeypatch.setenv("no_proxy", "intern.test")
    proxies = Proxies(["mapped.test"])
    assert proxies.of("http://a.test/") == proxies.of("https://a.test/x") == "http://gate.corp:3128"
    for direct in (
        "http://www.intern.test/",
        "http://mapped.test/",
        "http://localhost:1/",
        "http://[::1]/",
        "http://127.9.9.9/",
    ):
        assert proxies.of(direct) is None
    assert proxies.addresses() == {("gate.corp", 3128)}
    monkeypatch.setenv("http_proxy", "socks5://me:hush@gate.corp:1080")
    with pytest.raises(PermanentError, match=r"not an HTTP proxy \(socks5://gate.corp:1080\)") as said:
        Proxies().of("http://a.test/")
    assert "hush" not in str(said.value)
