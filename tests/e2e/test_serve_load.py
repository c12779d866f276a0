"""The server in a process of its own under load: no answer wrong, no request lost, memory bounded, streams that hang.

`make test-all` runs all of it, `make test` the first seconds in `tests/flows/serving`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.flows.cli.untrained import untrained
from tests.live_serve import Server, serving
from tests.live_up import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PATIENCE = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("home")
    untrained(home, context=1024)
    options = ("--slots", "16", "--queue", "2000", "--kv-megabytes", "1", "--patience", str(PATIENCE))
    with serving(home, *options) as living:
        yield living


def asked(number: int) -> dict[str, object]:
    """A request of its own, drawn with a seed; a third of the prompts begin alike."""
    opening = "The mill at the river grinds what the carts bring, and " if number % 3 == 0 else ""
    return {"prompt": f"{opening}{number % 97} " * (1 + number % 4), "max_tokens": 1 + number % 24, "seed": number}


async def texts(server: Server, numbers: list[int], at_once: int) -> list[str]:
    """The answers to requests, so many of which are under way at any time; none may fail."""
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=600, limits=limits) as client:

        async def one(number: int) -> str:
            answer = await client.post("/v1/completions", json=asked(number))
            assert answer.status_code == 200, answer.text
            return str(answer.json()["choices"][0]["text"])

        return await asyncio.gather(*map(one, numbers))


def counted(server: Server, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False, timeout=60).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{"))


def test_500_clients_at_once_get_their_own_answers(server: Server) -> None:
    numbers = list(range(500))
    together = asyncio.run(texts(server, numbers, at_once=500))
    alone = asyncio.run(texts(server, numbers[::10], at_once=1))
    assert alone == together[::10]
    again = asyncio.run(texts(server, numbers, at_once=500))
    assert again == together
    assert len(set(together)) > 400
    assert counted(server, "textmill_prefix_cache_hits_total") > 0


def test_memory_is_flat_over_10_000_requests(server: Server) -> None:
    """1 MB holds 62 blocks of 16 tokens here, so blocks are evicted all the time."""
    at_once, held = 50, []
    for part in range(10):
        asyncio.run(texts(server, list(range(1000 * part, 1000 * part + 1000)), at_once))
        held.append(server.resident_megabytes())
    print("resident MB after each 1,000 requests:", [round(one, 1) for one in held])
    assert max(held[2:]) - held[1] < 5
    assert counted(server, "textmill_texts_running") == 0
    assert counted(server, "textmill_kv_cache_usage") == 0


def opened(server: Server, body: bytes, *, receive_buffer: int | None = None) -> socket.socket:
    """A connection that has sent a request and reads nothing."""
    address = urlsplit(server.url)
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((address.hostname, address.port))
    connection.sendall(
        f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return connection


def test_1_000_streams_that_hang_harm_nobody(server: Server) -> None:
    """Each asks for a stream and neither reads nor goes away; others are answered, and no place stays taken."""
    expected = asyncio.run(texts(server, list(range(20)), at_once=4))
    before = server.resident_megabytes()
    body = json.dumps({"prompt": "x", "max_tokens": 40, "temperature": 0, "stream": True}).encode()
    hanging = [opened(server, body) for _ in range(1000)]
    try:
        assert asyncio.run(texts(server, list(range(20)), at_once=4)) == expected
        eventually(lambda: counted(server, "textmill_texts_running") == 0, 120, "their texts have ended")
        grown = server.resident_megabytes() - before
        print(f"1,000 hanging streams take {grown:.0f} MB")
        assert grown < 150
    finally:
        for connection in hanging:
            connection.close()
    assert asyncio.run(texts(server, list(range(20)), at_once=4)) == expected


def test_clients_that_read_nothing_lose_their_streams(server: Server) -> None:
    """Their long answers, with many probabilities, fill the connection; the server then waits a while."""
    fields = {"prompt": "x", "max_tokens": 1000, "temperature": 0, "stream": True, "logprobs": 20}
    before = server.resident_megabytes()
    silent = [opened(server, json.dumps(fields).encode(), receive_buffer=4096) for _ in range(16)]
    try:
        began = time.monotonic()
        eventually(lambda: counted(server, "textmill_texts_running") == 0, 240, "they hold no places")
        print(f"after {time.monotonic() - began:.0f} s, {server.resident_megabytes() - before:.0f} MB more")
        assert asyncio.run(texts(server, [1], at_once=1))
        assert server.resident_megabytes() - before < 100
    finally:
        for connection in silent:
            connection.close()
    time.sleep(PATIENCE)
    assert counted(server, "textmill_texts_running") == 0


def test_a_server_with_a_full_queue_says_so_and_loses_nothing(tmp_path: Path) -> None:
    untrained(tmp_path, context=1024)
    with serving(tmp_path, "--slots", "2", "--queue", "8") as server:

        async def flood() -> list[int]:
            async with httpx.AsyncClient(
                base_url=server.url, trust_env=False, timeout=120, limits=httpx.Limits()
            ) as client:
                asking = {"prompt": "x", "max_tokens": 900, "temperature": 0}
                answers = await asyncio.gather(*(client.post("/v1/completions", json=asking) for _ in range(60)))
            assert all("retry-after" in one.headers for one in answers if one.status_code == 429)
            return [one.status_code for one in answers]

        statuses = asyncio.run(flood())
        assert set(statuses) == {200, 429}
        assert statuses.count(200) >= 10
