"""Server-sent events: an answer in pieces, as long as its client reads them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flows.serving.errors import as_told

DONE = b"data: [DONE]\n\n"
log = logging.getLogger(__name__)


def event(data: Any) -> bytes:
    """Return one event."""
    return b"data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class EventStream(Response):
    """Sends events until they end, the client goes away, or it reads nothing for `patience` seconds."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], patience: float) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events, self._patience = events, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        sending = asyncio.ensure_future(self._send_all(send))
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (sending, gone):
                one.cancel()
            results = await asyncio.gather(sending, gone, return_exceptions=True)
            await self._events.aclose()  # type: ignore[attr-defined]
        if isinstance(results[0], Exception):
            log.info("A stream ended early: %r", results[0])

    async def _send_all(self, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        try:
            async for piece in self._events:
                await self._send(send, piece)
        except Exception as error:
            if isinstance(error, TimeoutError):
                raise
            with contextlib.suppress(TimeoutError):
                await self._send(send, event(as_told(error).body))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, piece: bytes) -> None:
        """Send a piece; a client that reads nothing holds its place no longer than the patience lasts."""
        async with asyncio.timeout(self._patience):  # wait_for would start a task for each piece
            await send({"type": "http.response.body", "body": piece, "more_body": True})


async def until_gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
