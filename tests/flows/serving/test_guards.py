"""flows/serving/guards.py: with a key nothing answers without it, but whether the server lives, and preflights."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from flows.serving.guards import Guards


async def application(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(body)})


def ask(guards: Guards, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(guards)
        async with httpx.AsyncClient(transport=transport, base_url="http://here.test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(asked())


GUARDED = Guards(application, keys=["one", "zwei-ü"], origins=["https://page.test"], max_body_bytes=100)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer one", 200),
        ("bearer one", 200),
        ("Bearer zwei-ü", 200),
        ("Bearer onetwo", 401),
        ("Bearer ", 401),
        ("Basic one", 401),
        ("one", 401),
        (None, 401),
    ],
)
def test_a_key_opens_the_api(authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}
    answer = ask(GUARDED, "/v1/models", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "one" not in answer.text


def test_what_needs_no_key() -> None:
    for path in ("/health", "/", "/page/app.js"):
        assert ask(GUARDED, path).status_code == 200
    asked = {"origin": "https://page.test", "access-control-request-method": "POST"}
    assert ask(GUARDED, "/v1/chat/completions", "OPTIONS", headers=asked).status_code == 204
    # a page that is not named gets no leave, with or without a key
    other = ask(GUARDED, "/v1/chat/completions", "OPTIONS", headers=asked | {"origin": "https://other.test"})
    assert other.status_code == 403


def test_bodies_have_a_limit_whether_their_length_is_said_or_not() -> None:
    key = {"authorization": "Bearer one"}
    assert ask(GUARDED, "/x", "POST", content=b"x" * 100, headers=key).text == "100"
    assert ask(GUARDED, "/x", "POST", content=b"x" * 101, headers=key).status_code == 413

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * 50

    answer = ask(GUARDED, "/x", "POST", content=pieces(), headers=key)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"
