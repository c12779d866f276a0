"""One GET against servers that lie, drip, flood and break off: what it came to is data, and the limits hold."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks.crawl.config import CrawlConfig
from tasks.crawl.fetch import Fetcher, Response

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def get(talk: Talk | bytes, **settings: Any) -> Response:
    """Return what the Fetcher makes of a server that says `talk` on each connection, whatever it is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if isinstance(talk, bytes):
                writer.write(talk)
                await writer.drain()
            else:
                await talk(reader, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()

    async def ask() -> Response:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        config = CrawlConfig(**{"page_seconds": 2.0, "max_page_megabytes": 0.1, **settings})
        async with Fetcher(config, {"h.test": (f"127.0.0.1:{port}",)}) as fetcher:
            response = await fetcher.get("http://h.test/page")
        server.close()
        return response

    return asyncio.run(ask())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


@pytest.mark.parametrize(
    ("talk", "problem"),
    [
        (b"", "connection"),
        (b"\0\1\2\3garbage\r\n\r\n", "bad_http"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_http"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "bad_http"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad_http"),
        (HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n", "bad_http"),
        (HEAD + b"X: a\r\n" * 1000 + b"\r\n", "bad_http"),
        (HEAD + b"Content-Length: -5\r\n\r\nhello", "bad_http"),
        (HEAD + b"Content-Length: 50\r\n\r\nhello", "connection"),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n" + b"x" * 200_000, "too_large"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "connection"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n", "bad_http"),
        (HEAD + b"\r\n" + b"x" * 200_000, "too_large"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\nno gzip at all", "broken_encoding"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n\r\nboth", "broken_encoding"),
    ],
)  # fmt: skip
def test_a_lying_server_is_a_problem_with_a_sentence(talk, problem):
    response = get(talk)
    assert (response.problem, response.body) == (problem, b"")
    assert response.detail
    assert len(response.detail) < 600


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 O", HEAD, HEAD + b"\r\n"])
def test_a_server_that_drips_is_stopped_in_time(part):
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        for byte in b"X-Header: this takes a while " * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    started = time.monotonic()
    assert get(drip, page_seconds=0.4).problem == "timeout"
    assert time.monotonic() - started < 5


def test_interim_answers_without_end_are_stopped():
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)

    assert get(flood, page_seconds=0.4).problem in ("timeout", "bad_http")


def test_an_answer_is_kept_as_it_came():
    said = HEAD + "X-Name: Zoë\r\nSet-Cookie: id=1\r\nx-name: two\r\nContent-Length: 2\r\n\r\nhi".encode("latin-1")
    response = get(said)
    assert (response.problem, response.status, response.reason, response.body) == (None, 200, "OK", b"hi")
    assert ("X-Name", "Zoë") in response.headers
    assert response.header_values("x-name") == ["Zoë", "two"]


def test_who_asks_is_said_and_nothing_more():
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(HEAD + b"Set-Cookie: visitor=7\r\nContent-Length: 0\r\n\r\n")

    async def ask() -> Response:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        config = CrawlConfig(user_agent="ourbot/2.0", contact="bot@example.org")
        async with Fetcher(config, {"h.test": (f"127.0.0.1:{port}",)}) as fetcher:
            await fetcher.get("http://h.test/1")
            return await fetcher.get("http://h.test/a%2Fb?x='y'&z=%20")

    response = asyncio.run(ask())
    text = heard[-1].decode()
    assert text.startswith("GET /a%2Fb?x='y'&z=%20 HTTP/1.1\r\n")
    sent = dict(line.split(": ", 1) for line in text.strip().split("\r\n")[1:])
    assert sent["User-Agent"] == "ourbot/2.0 (+bot@example.org)"
    assert sent["From"] == "bot@example.org"
    assert sent["Accept-Encoding"] == "gzip, deflate, br, zstd"
    assert {"Cookie", "Authorization", "Referer"}.isdisjoint(sent)
    assert dict(response.request_headers) == sent


def test_the_global_rate_holds_over_all_hosts():
    asked: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked.append(time.monotonic())
                writer.write(HEAD + b"Content-Length: 0\r\n\r\n")

    async def ask() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        place = (f"127.0.0.1:{server.sockets[0].getsockname()[1]}",)
        names = [f"h{number}.test" for number in range(6)]
        async with Fetcher(CrawlConfig(rate=20), dict.fromkeys(names, place)) as fetcher:
            await asyncio.gather(*(fetcher.get(f"http://{name}/") for name in names))

    asyncio.run(ask())
    assert len(asked) == 6
    assert asked[-1] - asked[0] >= 0.24


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0", 0), ("soon", None), ("-1", None), ("", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
     ("9" * 400, 999999999)],
)  # fmt: skip
def test_retry_after_in_seconds(value, seconds):
    assert Response("http://h/", 503, (("Retry-After", value),)).retry_after() == seconds


def test_retry_after_as_a_date():
    from email.utils import formatdate

    value = formatdate(time.time() + 90, usegmt=True)
    assert 85 < (Response("http://h/", 503, (("Retry-After", value),)).retry_after() or 0) <= 90


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/x", "http://h/x"),
        ("//other/x", "http://other/x"),
        ("x y", "http://h/d/x%20y"),
        ("/caf\xc3\xa9", "http://h/caf%C3%A9"),
        ("ftp://h/", ""),
        ("http://user:pass@h/", ""),
        ("javascript:alert(1)", ""),
        ("http://0x7f.1/admin", "http://127.0.0.1/admin"),
    ],
)
def test_where_a_redirect_leads(location, target):
    assert Response("http://h/d/p", 302, (("Location", location),)).redirect == target
    assert Response("http://h/d/p", 200, (("Location", location),)).redirect is None
