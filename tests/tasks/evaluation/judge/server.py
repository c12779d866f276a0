"""A real HTTP server that plays the judge: each request is answered as a function of the test says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Reply = web.StreamResponse | str
Play = Callable[[web.Request, str], Awaitable[Reply] | Reply]


class Judge:
    """What a running server was asked; `most` is the largest number of requests that it had at the same time."""

    def __init__(self, play: Play) -> None:
        self.play, self.url = play, ""
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most = self._now = 0

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.asked]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            reply = self.play(request, body["messages"][0]["content"])
            if isinstance(reply, Awaitable) and not isinstance(reply, web.StreamResponse):
                reply = await reply
            return completion(reply) if isinstance(reply, str) else reply
        finally:
            self._now -= 1


def completion(text: Any, finish: str = "stop") -> web.Response:
    """A chat completion with these words."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return web.Response(text=json.dumps({"object": "chat.completion", "choices": [choice]}))


@contextmanager
def judging(play: Play) -> Iterator[Judge]:
    """A judge on a free port of this machine."""
    judge, loop = Judge(play), asyncio.new_event_loop()
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/chat/completions", judge.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        judge.url = f"http://{host}:{port}/v1"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield judge
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
