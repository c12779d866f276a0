"""Which addresses are public, and what a name, a literal and a changing answer of DNS come to."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher
from tasks.corpus.crawl.network import ForbiddenAddress, GuardedResolver, is_public
from tasks.corpus.crawl.urls import canonical, host_of


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    ],
)  # fmt: skip
def test_addresses_of_the_own_network(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.0.0.1.",
        "%31%32%37.0.0.1", "１２７.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "169.254.169.254",
        "0", "0.0.0.0", "[::]", "10.1", "192.168.257", "[fe80::1]", "[fd00::1]", "[ff02::1]", "100.64.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_a_private_address_gets_through(host):
    url = canonical(f"http://{host}/")
    assert url is not None
    with pytest.raises(ForbiddenAddress, match=r"crawl\.allow_private_hosts"):
        GuardedResolver().check_literal(host_of(url))
    GuardedResolver(allow_private=[host_of(url)]).check_literal(host_of(url))


def answers(monkeypatch: pytest.MonkeyPatch, *rounds: list[str]) -> None:
    """Let DNS answer so, and the last of it for ever."""
    left = list(rounds)

    async def getaddrinfo(self: Any, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, 1, 6, "", (ip, port)) for ip in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "found", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["2606:4700::1", "::ffff:10.0.0.1"], ["fe80::1%2"]]
)
def test_a_name_with_a_private_address_is_refused(monkeypatch, found):
    answers(monkeypatch, found)
    with pytest.raises(ForbiddenAddress):
        asyncio.run(GuardedResolver().resolve("evil.test", 80))
    allowed = asyncio.run(GuardedResolver(allow_private=["EVIL.test"]).resolve("evil.test", 80))
    assert [entry["host"] for entry in allowed] == found


def test_a_name_that_turns_private_later_is_refused(monkeypatch):
    """DNS rebinding: the address that was checked is the one connected to, and a later one is checked again."""
    answers(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
    guard = GuardedResolver()
    first = asyncio.run(guard.resolve("evil.test", 80))
    assert [entry["host"] for entry in first] == ["1.1.1.1"]
    assert first[0]["flags"] == socket.AI_NUMERICHOST  # nobody asks DNS again on the way
    with pytest.raises(ForbiddenAddress):
        asyncio.run(guard.resolve("evil.test", 80))


@pytest.mark.parametrize(
    "url", ["http://evil.test/", "http://127.0.0.1/", "http://[::ffff:127.0.0.1]/", "https://[::1]/"]
)
def test_a_request_to_a_private_address_is_never_sent(monkeypatch, url):
    answers(monkeypatch, ["192.168.0.1"])

    async def get() -> Any:
        async with Fetcher(CrawlConfig(), {}) as fetcher:
            return await fetcher.get(url)

    async def connect(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(asyncio.BaseEventLoop, "sock_connect", connect)
    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", connect)
    response = asyncio.run(get())
    assert response.problem == "private_address"


def test_what_cannot_be_resolved_is_a_problem(monkeypatch):
    async def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)

    async def get() -> Any:
        async with Fetcher(CrawlConfig(), {}) as fetcher:
            return await fetcher.get("http://nowhere.test/")

    response = asyncio.run(get())
    assert (response.problem, "Name or service not known" in (response.detail or "")) == ("connection", True)


def test_the_users_own_addresses_are_not_checked():
    found = asyncio.run(GuardedResolver(resolve={"Site.test": ("127.0.0.1:81", "[::1]:82")}).resolve("site.test", 80))
    assert [(entry["host"], entry["port"]) for entry in found] == [("127.0.0.1", 81), ("::1", 82)]
