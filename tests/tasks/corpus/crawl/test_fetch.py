"""One GET against servers that lie, drip, flood and break off: what it came to is data, and the limits hold.

Also covers: tasks/corpus/crawl/lenient.py
Also covers: tasks/corpus/crawl/mime.py
Also covers: tasks/corpus/crawl/statuses.py
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher, Response

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
        (HEAD + b"Content-Length: 50\r\n\r\nhello", "incomplete"),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n" + b"x" * 200_000, "too_large"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "incomplete"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "bad_http"),
        (HEAD + b"Server : mill\r\n\r\nhello", "bad_http"),
        (HEAD + b"Content-Encoding: none\r\n\r\nhello", "broken_encoding"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n", "bad_http"),
        (HEAD + b"\r\n" + b"x" * 200_000, "too_large"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\nno gzip at all", "broken_encoding"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Encoding: br\r\n\r\nboth", "broken_encoding"),
    ],
)  # fmt: skip
def test_a_lying_server_is_a_problem_with_a_sentence(talk, problem):
    response = get(talk, strict_http=True)
    assert (response.problem, response.body) == (problem, b"")
    assert response.detail
    assert len(response.detail) < 600


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("talk", "body", "odd"),
    [
        (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"hello", "Content-Length more than once"),
        (HEAD + b"Content-Length: 5, 5\r\n\r\nhello", b"hello", "Content-Length more than once"),
        (HEAD + b"Content-Length: -5\r\n\r\nhello", b"hello", "Content-Length is not a number: '-5'"),
        (HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello, more", b"hello", "more came than the 5 bytes"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi", "with chunks"),
        (HEAD + b"Server : mill\r\n\r\nhello", b"hello", "a space before a header's colon"),
        (HEAD + b"no colon\r\n\r\nhello", b"hello", "a header line without a name"),
        (HEAD + b"Content-Length: 50\r\n\r\nhello", b"hello", "5 bytes came where Content-Length says 50, twice"),
        (HEAD + b"Content-Length: 50\r\n\r\n<p>hello</html>\n", b"<p>hello</html>\n", "Content-Length says 50"),
        (CHUNKED + b"\r\n5\r\nhello\r\n", b"hello", "the last chunk did not come, twice"),
        (CHUNKED + b"\r\n50\r\nhello", b"hello", "the last chunk did not come, twice"),
        (CHUNKED + b"\r\n5\nhello\n1;x=y\n!\n0\n\n", b"hello!", "bare line feed"),
        (CHUNKED + b"Content-Encoding: none\r\n\r\n5\nhello\n0\n\n", b"hello", "names no packing"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"X : y\r\n\r\nhello", b"hello", "a space before"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 99\r\n\r\n" + gzip.compress(b"hello"), b"hello", "says 99"),
        (b"http/1.1  200OK\r\nX(Y): z\r\n\r\nhello", b"hello", "no valid HTTP"),
        (b"HTTP 200\r\nX Y: z\r\n\r\nhello", b"hello", "no valid HTTP"),
        (HEAD + b"Content-Encoding: UTF-8\r\n\r\nhello", b"hello", "Content-Encoding 'utf-8' names no packing"),
    ],
)  # fmt: skip
def test_what_a_browser_reads_is_read_and_what_was_odd_is_said(talk, body, odd):
    response = get(talk, delay=0.0)
    assert (response.problem, response.status, response.body) == (None, 200, body)
    assert odd in (response.detail or "")


@pytest.mark.parametrize(
    ("talk", "problem", "said"),
    [
        (b"", "connection", "disconnected"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_http", "it begins with b'SSH"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "bad_http", "different values: 5, 6"),
        (HEAD + b"X : a" + b"a" * 100_000 + b"\r\n\r\n", "bad_http", "longer than 16,384 bytes"),
        (HEAD + b"X : a\r\n" * 1000 + b"\r\n", "bad_http", "more than 128"),
        (HEAD + b"X : a\0b\r\n\r\n", "bad_http", "zero byte"),
        (CHUNKED + b"\r\nZZ\r\nhello\r\n0\r\n\r\n", "bad_http", "a chunk's length is b'ZZ'"),
        (CHUNKED + b"\r\n2\r\nhello\r\n0\r\n\r\n", "bad_http", "a chunk's length is b'llo'"),
        (CHUNKED + b"\r\n<p>no chunk at all", "bad_http", "no complete chunk; it ends with b'<p>no"),
        (b"HTTP/1.1 100 Continue\r\nX : y\r\n\r\n" * 99, "bad_http", "interim"),
        (HEAD + b"X : y\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 200_000, "too_large", "100,000"),
        (CHUNKED + b"\r\n" + b"4\n" + b"x" * 4 + b"\n" + b"30000\n" + b"x" * 200_000, "too_large", "100,000"),
        (CHUNKED + b"Content-Encoding: gzip\r\n\r\n8\n\x1f\x8b\x08\0\0\0\0\0\n", "incomplete", "last chunk"),
    ],
)  # fmt: skip
def test_what_no_browser_reads_is_a_problem(talk, problem, said):
    response = get(talk, delay=0.0)
    assert (response.problem, response.body) == (problem, b"")
    assert said in (response.detail or ""), response.detail


def served(talk: Callable[[int, bytes], bytes], *paths: str, **settings: Any) -> tuple[list[Response], list[float]]:
    """Ask a server whose answers are made of the number of the connection and the request; also when it was asked."""
    asked: list[float] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(time.monotonic())
            writer.write(talk(len(asked), head))
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            writer.close()

    async def ask() -> list[Response]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        place = (f"127.0.0.1:{server.sockets[0].getsockname()[1]}",)
        async with Fetcher(CrawlConfig(**{"page_seconds": 2.0, **settings}), {"h.test": place}) as fetcher:
            found = [await fetcher.get(f"http://h.test{path}") for path in paths]
        server.close()
        return found

    return asyncio.run(ask()), asked


def test_a_body_that_breaks_off_elsewhere_the_second_time_is_no_page():
    def torn(number: int, _: bytes) -> bytes:
        return HEAD + b"Content-Length: 50\r\n\r\n" + b"x" * number

    (response,), asked = served(torn, "/", delay=0.0)
    assert (response.problem, response.body, response.transient) == ("incomplete", b"", True)
    assert (response.requests, len(asked)) == (3, 3)


def test_a_body_that_broke_off_once_is_whole_the_second_time():
    (response,), _ = served(
        lambda number, _: HEAD + b"Content-Length: 5\r\n\r\n" + b"hello"[: 2 if number == 1 else 5], "/", delay=0.0
    )
    assert (response.problem, response.body, response.detail, response.requests) == (None, b"hello", None, 2)


def test_an_odd_origin_is_asked_once_for_each_further_page_and_never_at_once():
    def odd(_: int, head: bytes) -> bytes:
        assert b"\r\nHost: h.test\r\n" in head
        assert head.count(b"User-Agent: ourbot") == 1
        return HEAD + b"Server : mill\r\n\r\n" + head.split()[1]

    responses, asked = served(odd, "/1?a=b", "/2", "/3", delay=0.3, user_agent="ourbot")
    assert [(response.body, response.requests) for response in responses] == [(b"/1?a=b", 2), (b"/2", 1), (b"/3", 1)]
    assert asked[1] - asked[0] >= 0.29


def test_a_redirect_with_a_body_that_nobody_announced_is_followed():
    said = b"HTTP/1.1 301 Moved\r\nLocation: /new\r\nContent-Length: 0\r\nConnection: close\r\n\r\n<p>Moved"
    assert get(said, delay=0.0).redirect == "http://h.test/new"


@pytest.mark.parametrize(
    ("types", "body", "mime"),
    [
        (["text/html, text/html; charset=utf-8"], b"", "text/html"),
        (["text/html", "text/html; charset=utf-8"], b"", "text/html"),
        (["text/plain, TEXT/HTML"], b"", "text/html"),
        (["text/html, */*"], b"", "text/html"),
        (["text/html charset=utf-8"], b"", "text/html"),
        ([], b"<!-- x --><p>", "text/html"),
        (["html"], b" <!DOCTYPE html>", "text/html"),
        (["*/*"], b"<b>x</b>", "text/html"),
        (["; charset=utf-8"], b"<br/>", "text/plain"),
        (['"text/html"'], b"Grass", "text/plain"),
        ([""], b"%PDF-1.4", "application/pdf"),
        ([], b"\x89PNG\r\n\x1a\n\0", "application/octet-stream"),
        ([], b"<?xml version='1.0'?>", "text/xml"),
        (["image/png"], b"<p>", "image/png"),
    ],
)
def test_the_mime_type_is_the_last_that_is_one_or_what_the_body_looks_like(types, body, mime):
    headers = tuple(("Content-Type", value) for value in types)
    assert Response("http://h/", 200, headers, body).mime == mime


def test_the_mime_type_is_the_first_as_it_stands_where_http_is_strict():
    response = Response("http://h/", 200, (("Content-Type", "text/html, text/html"),), b"", strict=True)
    assert response.mime == "text/html, text/html"
    assert Response("http://h/", 200, (), b"\0", strict=True).mime == "text/html"


def test_the_charset_of_several_content_types_is_the_first_that_is_said():
    for types in (["text/html, text/html; charset=koi8-r"], ["text/html", "text/html; charset=koi8-r"]):
        headers = tuple(("Content-Type", value) for value in types)
        assert Response("http://h/", 200, headers).content_type == "text/html; charset=koi8-r"


@pytest.mark.parametrize(
    ("status", "span", "lenient"),
    [(203, "", True), (206, "bytes 0-4/5", True), (206, "bytes 0-4/9", False), (206, "", False), (202, "", False)],
)
def test_which_answers_hold_a_page(status, span, lenient):
    said = f"HTTP/1.1 {status} X\r\nContent-Range: {span}\r\nContent-Length: 5\r\n\r\nhello".encode()
    assert get(said).ok == (get(said).body == b"hello") == lenient
    assert not get(said, strict_http=True).ok


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
