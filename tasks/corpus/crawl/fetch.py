"""HTTP GET with limits on time, size and decompressed size; failures are returned as data, never raised."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import email.utils
import functools
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.decode import ACCEPTED, BrokenEncoding, Decoder, TooLarge
from tasks.corpus.crawl.lenient import Answer, NoHttp, ask
from tasks.corpus.crawl.mime import content_type_of, mime_of
from tasks.corpus.crawl.network import ForbiddenAddress, GuardedResolver
from tasks.corpus.crawl.proxies import Proxies
from tasks.corpus.crawl.sitemaps import MAX_BYTES, is_sitemap
from tasks.corpus.crawl.statuses import REDIRECT_STATUS, TRANSIENT_STATUS
from tasks.corpus.crawl.urls import canonical, host_of, origin_of

MAX_HEADER = 16_384  # bytes of one header line, at most 128 lines; servers by default send at most 8 KiB
_LARGE_AT_ONCE = 2  # simultaneous lists that exceed the page limit, each up to 50 MiB
_RANGE = re.compile(r"bytes 0-(\d{1,15})/(\d{1,15})\s*\Z", re.I)
_HTML_END = re.compile(rb"</html\s*>\s*\Z", re.I)
_MAX_ODD = 100_000  # how many origins with odd responses are remembered
_DRAINED = 65_536  # bytes of an unwanted body that are read so that the connection can be reused


@dataclass(frozen=True)
class Response:
    """The outcome of a request. `problem` is a reason such as "timeout", explained in `detail`, or None.

    Without a problem, `detail` says what was odd about the response, if anything was.
    """

    url: str
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    problem: str | None = None
    detail: str | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    started_at: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    reason: str = ""  # the phrase after the status
    strict: bool = False  # as crawl.strict_http
    requests: int = 1  # how many requests it took

    def header(self, name: str) -> str | None:
        """Return the first header of this name (given in lower case), whatever the header's own case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def header_values(self, name: str) -> list[str]:
        """Return all headers of this name (given in lower case), whatever the headers' own case."""
        return [value for key, value in self.headers if key.lower() == name]

    @functools.cached_property
    def mime(self) -> str:
        """MIME type without parameters, in lower case; guessed from the body if the server names none."""
        if self.strict:
            return (self.header("content-type") or "text/html").partition(";")[0].strip().lower()
        return mime_of(self.header_values("content-type"), self.body)

    @property
    def content_type(self) -> str:
        """MIME type and charset, from any number of Content-Type headers."""
        return content_type_of(self.header_values("content-type"), self.mime)

    @property
    def ok(self) -> bool:
        """Whether the body is the page that was requested."""
        return _is_page(self.status, self.headers, self.strict)

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.problem in {"timeout", "connection", "incomplete"} or self.status in TRANSIENT_STATUS

    @property
    def redirect(self) -> str | None:
        """Canonical target of a redirect, None if it is not a redirect; "" if the target is not a URL we can visit."""
        if self.status not in REDIRECT_STATUS:
            return None
        location = self.header("location")
        if location is None:
            return ""
        with contextlib.suppress(UnicodeError):  # browsers read it as UTF-8; RFC 9110 § 10.2.2 allows only ASCII
            location = location.encode("latin-1").decode("utf-8")
        return canonical(location, self.url) or ""

    def retry_after(self) -> float | None:
        """Return the seconds that the server asks us to wait (RFC 9110 § 10.2.3: seconds or a date), else None."""
        value = (self.header("retry-after") or "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None


@dataclass
class _Request:
    url: str
    headers: tuple[tuple[str, str], ...]
    limit: int
    decoder: Callable[[str], Decoder]  # makes the decoder for a Content-Encoding
    pause: float  # seconds before it is sent again
    strict: bool
    is_list: bool = False
    proxy: str | None = None
    started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def answered(self, status: int, headers: tuple[tuple[str, str], ...], phrase: str) -> Response:
        return Response(
            self.url, status, headers, b"", None, None, self.headers, self.started, phrase, strict=self.strict
        )

    def failed(self, problem: str, detail: str, status: int | None = None) -> Response:
        return Response(self.url, status, (), b"", problem, detail, self.headers, self.started, strict=self.strict)


class Fetcher:
    """Sends GET requests; use as an async context manager.

    Cookies are neither kept nor sent, credentials are not sent (~/.netrc is not read), and redirects are not followed:
    their targets go through scope, robots.txt and the address check like any link. Proxies are taken from the
    environment; an odd response that comes through one is not requested again. aiohttp is used because its parser is
    compiled: one core handles 10,200 requests of 26 kB per second with it, but 1,050 with h11, the parser of httpcore.
    """

    def __init__(self, config: CrawlConfig, resolve: Mapping[str, tuple[str, ...]]) -> None:
        self._config = config
        self._max_body = int(config.max_page_megabytes * 1e6)
        self._proxies = Proxies([*resolve, *config.resolve, *config.allow_private_hosts])
        self._resolver = GuardedResolver(config.allow_private_hosts, resolve, self._proxies.addresses())
        self._interval = 1 / config.rate if config.rate else 0.0
        self._next_start = 0.0
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._odd: set[str] = set()  # origins whose responses must be read leniently
        self._tls: ssl.SSLContext | None = None
        self._headers = (
            ("User-Agent", config.agent),
            *((("From", config.contact),) if "@" in config.contact else ()),  # RFC 9110 § 10.1.2
            ("Accept", ", ".join([*config.mime, "*/*;q=0.1"])),
            ("Accept-Encoding", ACCEPTED),
        )

    async def __aenter__(self) -> Fetcher:
        connector = aiohttp.TCPConnector(
            limit=0,  # the crawler itself limits simultaneous requests
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
        self,
        url: str,
        extra: Mapping[str, str] | None = None,
        *,
        limit: int | None = None,
        truncate: bool = False,
        is_list: bool = False,
        pause: float | None = None,
    ) -> Response:
        """GET a canonical URL; its body may have `limit` bytes (default: `max_page_megabytes`).

        A longer body is a problem, or is cut off if `truncate` is set. A list (`is_list`, or a body that begins like a
        sitemap) may be as long as the sitemap protocol allows. Unless `strict_http` is set, a response that aiohttp
        refuses is requested again after `pause` seconds (default: `delay`) and read as browsers do. If that helped, all
        later responses from the same origin are read that way too.
        """
        larger = _room_for_lists if limit is None and not is_list else None
        limit = limit or self._max_body
        if is_list:
            limit, truncate = max(limit, MAX_BYTES + 1), True
        strict = self._config.strict_http
        request = _Request(
            url,
            (("Host", url.split("/", 3)[2]), *self._headers, *((extra or {}).items())),
            limit,
            functools.partial(Decoder, limit=limit, truncate=truncate, strict=strict, larger=larger),
            self._config.delay if pause is None else pause,
            strict,
            is_list,
            self._proxies.of(url),
        )
        origin = origin_of(url)
        if origin in self._odd and request.proxy is None:
            return await self._until_sure(request)
        response = await self._guarded(request, self._strictly)
        if strict or request.proxy or response.problem not in ("bad_http", "incomplete"):
            return response
        await asyncio.sleep(request.pause)
        again = await self._until_sure(request)
        if again.problem is None and response.problem == "bad_http" and not again.detail:
            again = dataclasses.replace(again, detail=_said([response.detail or response.problem]))
        if again.problem is None and again.detail and len(self._odd) < _MAX_ODD:
            self._odd.add(origin)
        return dataclasses.replace(again, requests=again.requests + 1)

    async def _guarded(self, request: _Request, read: Callable[[_Request], Awaitable[Response]]) -> Response:
        """Return the response, or a failed one that says what happened instead."""
        await self._pace()
        request.started = datetime.datetime.now(datetime.UTC)
        try:
            self._resolver.check_literal(host_of(request.url))
            if request.proxy is not None:
                await self._resolver.check_name(host_of(request.url))
            async with asyncio.timeout(self._config.page_seconds):  # a server may send one byte per second forever
                return await read(request)
        except TooLarge:
            return request.failed("too_large", f"the body is larger than {request.limit:,} bytes", 200)
        except BrokenEncoding as error:
            return request.failed("broken_encoding", f"the body cannot be decompressed: {error}", 200)
        except ForbiddenAddress as error:
            return request.failed("private_address", str(error))
        except TimeoutError:
            return request.failed("timeout", f"no complete answer in {self._config.page_seconds:g} s")
        except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
            status = f"status {error.status}" if isinstance(error, aiohttp.ClientHttpProxyError) else "no connection"
            return request.failed("proxy", f"the proxy that the environment names does not let it through: {status}")
        except aiohttp.ClientConnectorCertificateError as error:
            return request.failed("certificate", str(error.certificate_error))
        except ssl.SSLCertVerificationError as error:
            return request.failed("certificate", str(error))
        except aiohttp.ClientPayloadError as error:
            return request.failed("incomplete", _brief(error))
        except NoHttp as error:
            return request.failed("bad_http", str(error))
        except aiohttp.ClientResponseError as error:  # not HTTP, or endless headers; its message ends in a drawing
            return request.failed(
                "bad_http", f"no valid HTTP: {error.message.partition(chr(10))[0].rstrip(': ')[:300]}"
            )
        except aiohttp.InvalidURL as error:
            return request.failed("bad_http", _brief(error))
        except (aiohttp.ClientError, OSError) as error:
            return request.failed("connection", _brief(error))

    async def _strictly(self, request: _Request) -> Response:
        """GET with aiohttp."""
        async with self._session.get(
            URL(request.url, encoded=True), headers=dict(request.headers), allow_redirects=False, proxy=request.proxy
        ) as answer:
            received = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in answer.raw_headers)
            response = request.answered(answer.status, received, answer.reason or "")
            if not response.ok:  # only a page's body is kept
                if (answer.content_length or 0) <= _DRAINED and answer.content_length is not None:
                    await answer.read()
                return response
            decoder = request.decoder(", ".join(response.header_values("content-encoding")))
            async with contextlib.AsyncExitStack() as large:
                async for chunk in answer.content.iter_any():
                    before = decoder.size
                    decoder.feed(chunk)
                    if before <= self._max_body < decoder.size:
                        await large.enter_async_context(self._large)
                    if decoder.full:
                        answer.close()
                        break
                body = decoder.finish()
            return dataclasses.replace(response, body=body, detail=_said(decoder.oddities))

    async def _until_sure(self, request: _Request) -> Response:
        """GET as browsers do; an incomplete body is accepted if it ends at the same byte a second time."""
        first = await self._guarded(request, self._leniently)
        if first.problem != "incomplete":
            return first
        await asyncio.sleep(request.pause)
        second = dataclasses.replace(await self._guarded(request, self._leniently), requests=2)
        if second.problem != "incomplete":
            return second
        if second.body and (second.detail, len(second.body)) == (first.detail, len(first.body)):
            return dataclasses.replace(second, problem=None, detail=_said([f"{second.detail}, twice"]))
        return dataclasses.replace(second, body=b"")

    async def _leniently(self, request: _Request) -> Response:
        """GET with `lenient`; a body that is cut off is "incomplete" and returned as far as it came."""
        scheme, host = request.url.partition("://")[0], host_of(request.url)
        netloc, _, target = request.url.partition("://")[2].partition("/")
        port = netloc.rpartition(":")[2] if ":" in netloc.rpartition("]")[2] else ""
        addresses = await self._resolver.resolve(host, int(port or (443 if scheme == "https" else 80)))
        decoders: list[Decoder] = []

        def decoder(answer: Answer) -> Decoder | None:
            if not request.answered(answer.status, answer.headers, answer.reason).ok:
                return None
            decoders.append(request.decoder(", ".join(answer.values("content-encoding"))))
            return decoders[0]

        async with self._large if request.is_list else contextlib.nullcontext():
            tls = (self._tls_context(), host) if scheme == "https" else None
            answer = await ask(f"/{target}", request.headers, addresses, tls, decoder)
            response = request.answered(answer.status, answer.headers, answer.reason)
            if not decoders:
                return dataclasses.replace(response, detail=_said(answer.oddities))
            try:
                body = decoders[0].finish()
            except BrokenEncoding:
                if answer.missing is None:
                    raise
                return request.failed("incomplete", answer.missing)
        if answer.missing is not None and not (decoders[0].packed or _HTML_END.search(body[-64:])):  # the end is known
            return dataclasses.replace(response, body=body, problem="incomplete", detail=answer.missing)
        missing = [answer.missing] if answer.missing else []
        return dataclasses.replace(
            response, body=body, detail=_said([*answer.oddities, *missing, *decoders[0].oddities])
        )

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _pace(self) -> None:
        """Wait for this request's turn within the global rate."""
        if self._interval:
            now = time.monotonic()
            turn = max(now, self._next_start)
            self._next_start = turn + self._interval
            if turn > now:
                await asyncio.sleep(turn - now)


def _is_page(status: int | None, headers: tuple[tuple[str, str], ...], strict: bool) -> bool:
    """Return whether a response contains the page: 200; unless strict, also 203, or a 206 with the whole page."""
    if status == 200 or strict or status not in (203, 206):
        return status == 200
    if status == 203:
        return True
    ranges = [match for name, value in headers if name.lower() == "content-range" and (match := _RANGE.match(value))]
    return len(ranges) == 1 and int(ranges[0][1]) + 1 == int(ranges[0][2])


def _room_for_lists(head: bytes) -> int:
    return MAX_BYTES + 1 if is_sitemap(head, page=True) else 0


def _said(oddities: list[str]) -> str | None:
    return f"read though odd: {'; '.join(oddities)}" if oddities else None


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
