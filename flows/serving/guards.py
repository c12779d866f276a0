"""What stands before the application: the API key, the size of bodies, requests that browsers send for other pages."""

from __future__ import annotations

import contextlib
import hmac
import uuid
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.serving.errors import ApiError, response_of

OPEN = ("/health", "/", "/page/")
"""Paths that need no key: whether the server lives, and the page, which asks for the key itself."""


class Guards:
    """Checks every request before the application sees it, and gives each answer an id."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Sequence[str] = (),
        hosts: frozenset[str] | None = None,
        origins: Sequence[str] = (),
        max_body_bytes: int = 8 << 20,
    ) -> None:
        """`keys`: any of them opens the API; none = it is open. `hosts`: names under which it answers, None = any, so
        that no foreign page reaches a server without a key by a name of its own (DNS rebinding). `origins`: foreign
        pages that may ask."""
        self._app, self._hosts, self._origins = app, hosts, frozenset(origins)
        self._keys = [key.encode() for key in keys]
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # answered as GET is, and the server sends no body: load balancers ask so
            scope = {**scope, "method": "GET"}
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        given_id = headers.get("x-request-id", "")
        request_id = given_id if given_id.isascii() and given_id.isprintable() and 0 < len(given_id) <= 128 else ""
        extra = [(b"x-request-id", (request_id or uuid.uuid4().hex).encode())]
        if origin is not None and self._allows(origin):
            extra += [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin"),
                      (b"access-control-expose-headers", b"x-request-id, retry-after")]  # fmt: skip
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await _preflight(headers, extra, send)
                return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        refusal = self._refusal(scope, headers, origin)
        if refusal is not None:
            await response_of(refusal)(scope, receive, sending)
            return
        limited = _Limited(receive, self._most)
        started = False

        async def answering(message: Message) -> None:
            """The application takes a body that breaks off for a wrong one; the client is told the truth."""
            nonlocal started
            if not limited.exceeded or started:
                started = True
                await sending(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, limited, answering)
        if limited.exceeded and not started:
            await response_of(_too_large(self._most))(scope, receive, sending)

    def _allows(self, origin: str) -> bool:
        return origin in self._origins or "*" in self._origins

    def _refusal(self, scope: Scope, headers: Headers, origin: str | None) -> ApiError | None:
        host = headers.get("host", "")
        if self._hosts is not None and host not in self._hosts:
            return ApiError(403, "This server answers programs on this machine only, under its own name.")
        if origin is not None and origin.split("://")[-1] != host and not self._allows(origin):
            return ApiError(403, "This server does not answer pages of other sites; `--origin` allows one.")
        path = scope["path"]
        is_open = path in OPEN or path.startswith("/page/")
        if self._keys and not is_open and not self._knows(headers.get("authorization", "")):
            return ApiError(
                401, "The API key is missing or wrong; send it as: Authorization: Bearer KEY", code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._most:
            return _too_large(self._most)
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        given = key.strip().encode("latin-1", "replace")
        # all are compared, so that the time tells nothing
        matches = [hmac.compare_digest(given, known) for known in self._keys]
        return scheme.lower() == "bearer" and any(matches)


class _TooLarge(Exception):
    pass


class _Limited:
    """A body that is not longer than allowed, also if its length was not said."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most
        self.exceeded = False

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self.exceeded = self._left < 0
            if self.exceeded:
                raise _TooLarge
        return message


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The body is larger than the {most:,} bytes that this server reads.", code="body_too_large")


async def _preflight(headers: Headers, extra: list[tuple[bytes, bytes]], send: Send) -> None:
    """Answer a browser's question whether it may ask; it carries no key."""
    asked = headers.get("access-control-request-headers", "authorization, content-type")
    allowed: list[tuple[bytes, bytes]] = [
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-allow-headers", asked.encode("latin-1", "replace")),
        (b"access-control-max-age", b"600"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": [*extra, *allowed]})
    await send({"type": "http.response.body", "body": b""})
