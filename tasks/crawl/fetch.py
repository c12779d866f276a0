"""One HTTP GET with limits on time, size and decompressed size; what it came to is data, never an exception."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tasks.crawl.config import CrawlConfig
from tasks.crawl.decode import ACCEPTED, BrokenEncoding, Decoder, TooLarge
from tasks.crawl.network import ForbiddenAddress, GuardedResolver
from tasks.crawl.urls import canonical, host_of

TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass when tried again (RFC 9110 § 15)
REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
MAX_HEADER = 16_384  # bytes of one header line, 128 lines at most; servers themselves send 8 KiB by default
_DRAINED = 65_536  # bytes of a body that nobody wants, read so that the connection can be used again


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
    reason: str = ""  # the phrase after the status

    def header(self, name: str) -> str | None:
        """Return the first header of this name, lower or upper case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def header_values(self, name: str) -> list[str]:
        """Return all headers of this name, lower or upper case."""
        return [value for key, value in self.headers if key.lower() == name]

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
        location = self.header("location")
        if location is None:
            return ""
        with contextlib.suppress(UnicodeError):  # browsers take it for UTF-8; RFC 9110 § 10.2.2 knows only ASCII
            location = location.encode("latin-1").decode("utf-8")
        return canonical(location, self.url) or ""

    def retry_after(self) -> float | None:
        """Return the seconds that the server asks us to wait (RFC 9110 § 10.2.3: seconds or a date), if it does."""
        value = (self.header("retry-after") or "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None


class Fetcher:
    """Sends GET requests; use as an async context manager.

    Cookies are neither kept nor sent, no credentials are (neither ~/.netrc nor proxies from the environment are
    read), and redirects are not followed: their targets go through scope, robots.txt and the address check like any
    link. aiohttp, because its parser is compiled: with h11, of httpcore, one core did 1,050 requests of 26 kB per
    second, with aiohttp 10,200.
    """

    def __init__(self, config: CrawlConfig, resolve: Mapping[str, tuple[str, ...]]) -> None:
        self._config = config
        self._max_body = int(config.max_page_megabytes * 1e6)
        self._resolver = GuardedResolver(config.allow_private_hosts, resolve)
        self._interval = 1 / config.rate if config.rate else 0.0
        self._next_start = 0.0
        self._headers = (
            ("User-Agent", config.agent),
            *((("From", config.contact),) if "@" in config.contact else ()),  # RFC 9110 § 10.1.2
            ("Accept", ", ".join([*config.mime, "*/*;q=0.1"])),
            ("Accept-Encoding", ACCEPTED),
        )

    async def __aenter__(self) -> Fetcher:
        connector = aiohttp.TCPConnector(
            limit=0,  # the crawler counts what is under way
            resolver=self._resolver,
            ttl_dns_cache=300,
            keepalive_timeout=15,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            read_bufsize=1 << 18,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(
        self, url: str, extra: Mapping[str, str] | None = None, *, limit: int | None = None, truncate: bool = False
    ) -> Response:
        """GET a canonical URL; the body may have `limit` bytes (default: `max_page_megabytes`), or is cut off there."""
        await self._pace()
        headers = (("Host", url.split("/", 3)[2]), *self._headers, *((extra or {}).items()))
        started = datetime.datetime.now(datetime.UTC)
        limit = limit or self._max_body

        def failed(problem: str, detail: str, status: int | None = None) -> Response:
            return Response(url, status, (), b"", problem, detail, headers, started)

        try:
            self._resolver.check_literal(host_of(url))
            # as a whole: a server may send one byte per second for ever
            async with (
                asyncio.timeout(self._config.page_seconds),
                self._session.get(URL(url, encoded=True), headers=dict(headers), allow_redirects=False) as answer,
            ):
                received = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in answer.raw_headers)
                response = Response(
                    url, answer.status, received, b"", None, None, headers, started, answer.reason or ""
                )
                if answer.status != 200:  # the body of anything else is not kept
                    if (answer.content_length or 0) <= _DRAINED and answer.content_length is not None:
                        await answer.read()
                    return response
                decoder = Decoder(", ".join(response.header_values("content-encoding")), limit, truncate=truncate)
                async for chunk in answer.content.iter_any():
                    decoder.feed(chunk)
                    if decoder.full:
                        answer.close()
                        break
                body = decoder.finish()
                return Response(url, answer.status, received, body, None, None, headers, started, answer.reason or "")
        except TooLarge:
            return failed("too_large", f"the body is larger than {limit:,} bytes", 200)
        except BrokenEncoding as error:
            return failed("broken_encoding", f"the body cannot be decompressed: {error}", 200)
        except ForbiddenAddress as error:
            return failed("private_address", str(error))
        except TimeoutError:
            return failed("timeout", f"no complete answer in {self._config.page_seconds:g} s")
        except aiohttp.ClientConnectorCertificateError as error:
            return failed("certificate", str(error.certificate_error))
        except (aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:  # no HTTP, or headers without end
            return failed("bad_http", f"{type(error).__name__}: {error}"[:500])
        except (aiohttp.ClientError, OSError) as error:
            return failed("connection", f"{type(error).__name__}: {error}"[:500])

    async def _pace(self) -> None:
        """Wait for this request's turn within the global rate."""
        if self._interval:
            now = time.monotonic()
            turn = max(now, self._next_start)
            self._next_start = turn + self._interval
            if turn > now:
                await asyncio.sleep(turn - now)
