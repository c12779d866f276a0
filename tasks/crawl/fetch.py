"""One HTTP GET with limits on time, size and decompressed size; what it came to is data, never an exception."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpcore

from tasks.crawl.config import CrawlConfig
from tasks.crawl.network import ForbiddenAddress, GuardedBackend
from tasks.crawl.urls import canonical

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass when tried again (RFC 9110 § 15)
REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Response:
    """What a request came to. `problem` is a reason such as "timeout", with a sentence in `detail`; else None."""

    url: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    problem: str | None = None
    detail: str | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    started_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def header(self, name: str) -> str | None:
        """Return the first header of this name, lower or upper case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def mime(self) -> str:
        """MIME type without parameters, lower case; text/html where the server says nothing."""
        return (self.header("content-type") or "text/html").partition(";")[0].strip().lower()

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.problem in {"timeout", "connection"} or self.status in TRANSIENT_STATUS

    @property
    def redirect(self) -> str | None:
        """Canonical target of a redirect, or None; "" where the target is no URL of ours."""
        if self.status not in REDIRECT_STATUS:
            return None
        return canonical(self.header("location") or "", self.url) or ""

    def retry_after(self) -> float | None:
        """Return the seconds that the server asks us to wait (RFC 9110 § 10.2.3: seconds or a date), if it does."""
        value = self.header("retry-after")
        if value is None:
            return None
        if value.strip().isdigit():
            return float(value)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None


class Fetcher:
    """Sends GET requests; use as an async context manager. Cookies are neither kept nor sent."""

    def __init__(self, config: CrawlConfig, resolve: Mapping[str, tuple[str, ...]]) -> None:
        self._config = config
        self._max_body = int(config.max_page_megabytes * 1e6)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=config.concurrency,
            max_keepalive_connections=config.concurrency,
            keepalive_expiry=15,
            http1=True,
            network_backend=GuardedBackend(config.allow_private_hosts, resolve),
        )

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()

    async def get(self, url: str, extra: Mapping[str, str] | None = None) -> Response:
        """GET a canonical URL. Redirects are not followed: their targets go through scope and robots as any link."""
        headers = (
            ("Host", url.split("/", 3)[2]),
            ("User-Agent", self._config.user_agent),
            ("Accept", ", ".join([*self._config.mime, "*/*;q=0.1"])),
            ("Accept-Encoding", "gzip, deflate"),
            *((extra or {}).items()),
        )
        started = datetime.datetime.now(datetime.UTC)

        def failed(problem: str, detail: str, status: int | None = None) -> Response:
            return Response(url, status, (), b"", problem, detail, headers, started)

        seconds = self._config.page_seconds
        timeouts = {"connect": seconds, "read": seconds, "write": seconds, "pool": None}
        try:
            async with asyncio.timeout(seconds):  # as a whole: a server may send one byte per second for ever
                async with self._pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as answer:
                    received = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in answer.headers)
                    response = Response(url, answer.status, received, b"", None, None, headers, started)
                    if answer.status != 200:  # the body of anything else is not kept
                        return response
                    decoder = _Decoder(response.header("content-encoding") or "", self._max_body)
                    async for chunk in answer.aiter_stream():
                        decoder.feed(chunk)
                    return Response(url, answer.status, received, decoder.finish(), None, None, headers, started)
        except TooLarge:
            return failed("too_large", f"the body is larger than {self._max_body:,} bytes", 200)
        except zlib.error as error:
            return failed("broken_encoding", f"the body cannot be decompressed: {error}", 200)
        except ForbiddenAddress as error:
            return failed("private_address", str(error))
        except (TimeoutError, httpcore.TimeoutException):
            return failed("timeout", f"no complete answer in {seconds:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError) as error:
            return failed("connection", f"{type(error).__name__}: {error}")


class TooLarge(Exception):
    """A body outgrew its limit."""


class _Decoder:
    """Undoes Content-Encoding a chunk at a time and stops at the limit, so a gzip bomb never unfolds."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        names = [name.strip().lower() for name in encoding.split(",") if name.strip() not in ("", "identity")]
        if any(name not in ("gzip", "x-gzip", "deflate") for name in names) or len(names) > 1:
            raise zlib.error(f"Content-Encoding {encoding!r} was not asked for")
        self._deflate = bool(names) and names[0] == "deflate"
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32) if names else None  # 32: gzip or zlib, by its header

    def feed(self, chunk: bytes) -> None:
        """Take in bytes as they came."""
        if self._inflater is None:
            self._add(chunk)
            return
        while chunk:
            try:
                self._add(self._inflater.decompress(chunk, self._limit - self._size + 1))
            except zlib.error:
                if not self._deflate or self._parts:
                    raise
                self._deflate = False  # some servers send "deflate" without the zlib header that RFC 9110 asks for
                self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
                continue
            chunk = self._inflater.unconsumed_tail
            if self._inflater.eof:
                return

    def finish(self) -> bytes:
        """Return the whole body; raises zlib.error where it broke off."""
        if self._inflater is not None and not self._inflater.eof and self._size:
            raise zlib.error("it ends in the middle")
        return b"".join(self._parts)

    def _add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge
        self._parts.append(data)
