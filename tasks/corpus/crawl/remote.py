"""Source files fetched from http(s) and S3 into a temporary file; a broken download continues where it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.network import ForbiddenAddress
from tasks.corpus.crawl.proxies import Proxies
from tasks.corpus.crawl.retry_after import retry_after
from tasks.corpus.crawl.statuses import REDIRECT_STATUS, TRANSIENT_STATUS
from tasks.corpus.crawl.urls import canonical

MAX_HOPS = 10  # redirects in a row
MAX_PAUSE = 300.0  # seconds
_S3_PIECE = 8 << 20  # bytes of one request to S3
_PROGRESS = 1 << 20  # bytes; an attempt that brought so many has not failed, as a large file may take many connections


class FetchError(Exception):
    """A file cannot be fetched: a `reason` for the tables, and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class _Again(Exception):
    """An attempt failed in a way that may be temporary. `pause`: seconds that the server asks us to wait."""

    def __init__(self, reason: str, detail: str, pause: float | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.pause = reason, detail, pause


@dataclass
class _Part:
    """An unfinished file, with a second file that says what it is part of, so that another process can continue it."""

    url: str
    path: Path

    def begin(self, validator: str | None) -> None:
        """Start from the beginning of the version that `validator` names."""
        self.path.with_suffix(".json").write_text(json.dumps({"url": self.url, "validator": validator}))
        self.path.write_bytes(b"")

    @property
    def validator(self) -> str | None:
        """What identifies the version of the bytes that are here; None if there are none that can be continued."""
        try:
            known = json.loads(self.path.with_suffix(".json").read_text())
        except (OSError, ValueError):
            return None
        return known["validator"] if known.get("url") == self.url and self.size else None

    @property
    def size(self) -> int:
        """The number of bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def remove(self) -> None:
        """Delete both files."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".json").unlink(missing_ok=True)


@contextlib.contextmanager
def fetched(url: str, config: CrawlConfig, work: Path) -> Iterator[Path]:
    """Fetch an http(s):// or s3:// file, yield its local path, and delete it afterwards.

    Tries again with exponential backoff and continues where it broke off (RFC 9110 § 14, Range and If-Range), also
    after a kill. Raises FetchError. Credentials for S3 come from the environment and go nowhere else.
    """
    folder = work / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    part = _Part(url, folder / f"{name}.part")
    attempt = _s3_attempt if url.startswith("s3://") else _http_attempt
    failures = 0
    for round_ in range(1000):
        before = part.size
        try:
            attempt(url, part, config)
            break
        except _Again as error:
            failures = 0 if part.size - before >= _PROGRESS else failures + 1
            if failures >= config.tries or round_ == 999:
                raise FetchError(error.reason, f"{error.detail} (tried {round_ + 1} times)") from error
            pause = config.backoff * 2 ** max(0, failures - 1)
            time.sleep(min(MAX_PAUSE, max(pause, error.pause or 0.0)))
        except FetchError:
            part.remove()
            raise
    whole = folder / f"{name}{_suffixes(url)}"  # the suffixes determine how it is read
    os.replace(part.path, whole)
    part.remove()
    try:
        yield whole
    finally:
        whole.unlink(missing_ok=True)


def _suffixes(url: str) -> str:
    path = url if url.startswith("s3://") else urlsplit(url).path  # in an S3 key, ? and # are ordinary characters
    return "".join(Path(path).suffixes[-3:])[-40:]


# -- http(s) -----------------------------------------------------------------------------------------------------------


def _http_attempt(url: str, part: _Part, config: CrawlConfig) -> None:
    import aiohttp

    try:
        asyncio.run(_http_get(url, part, config))
    except ForbiddenAddress as error:
        raise FetchError("private_address", str(error)) from error
    except TimeoutError as error:
        raise _Again("timeout", f"nothing came for {config.page_seconds:g} s") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError) as error:
        raise _Again("connection", f"{type(error).__name__}: {error}"[:300]) from error
    except aiohttp.ClientError as error:
        raise FetchError("http_error", f"{type(error).__name__}: {error}"[:300]) from error


async def _http_get(url: str, part: _Part, config: CrawlConfig) -> None:
    """GET the rest of the file, through the same guard against private addresses as the crawl."""
    import aiohttp
    from yarl import URL

    from tasks.corpus.crawl.network import GuardedResolver

    seconds = config.page_seconds
    proxies = Proxies([*config.resolve, *config.allow_private_hosts])
    guard = GuardedResolver(config.allow_private_hosts, config.resolve, proxies.addresses())
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=guard, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        for _ in range(MAX_HOPS):
            headers = {"User-Agent": config.agent, "Accept": "*/*", "Accept-Encoding": "identity"}
            if (validator := part.validator) is not None:
                headers |= {"Range": f"bytes={part.size}-", "If-Range": validator}
            host, proxy = urlsplit(url).hostname or "", proxies.of(url)
            guard.check_literal(host)
            if proxy is not None:
                await guard.check_name(host)
            async with session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False, proxy=proxy
            ) as answer:
                if answer.status not in REDIRECT_STATUS:
                    await _store(answer, part, config)
                    return
                location = answer.headers.get("location", "")
            target = canonical(urljoin(url, location))
            if target is None:
                raise FetchError("redirect_broken", f"it leads to {location!r}")
            url = target
    raise FetchError("redirect_loop", f"more than {MAX_HOPS} redirects")


async def _store(answer: Any, part: _Part, config: CrawlConfig) -> None:
    limit = int(config.max_file_megabytes * 1e6)
    status, headers = answer.status, answer.headers
    if status == 416 or (status == 206 and not headers.get("content-range", "").startswith(f"bytes {part.size}-")):
        part.remove()
        raise _Again("connection", f"the server has no such range (status {status}); starting again")
    if status in TRANSIENT_STATUS:
        raise _Again(f"http_{status}", f"status {status}", retry_after(headers.get("retry-after")))
    if status not in (200, 206):
        raise FetchError(f"http_{status}", f"status {status}")
    if status == 200:
        etag = headers.get("etag", "")
        # RFC 9110 § 13.1.5: a weak tag may not be asked for in If-Range
        part.begin(etag if etag and not etag.startswith("W/") else headers.get("last-modified"))
    with open(part.path, "ab") as file:
        size = file.tell()
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            if size > limit:
                raise FetchError("file_too_large", f"more than {limit:,} bytes (crawl.max_file_megabytes)")
            file.write(chunk)


# -- S3 ----------------------------------------------------------------------------------------------------------------


def list_bucket(url: str, config: CrawlConfig) -> list[tuple[str, int]]:
    """Return (bucket/key, bytes) of all objects below the fixed part of an s3:// URL or pattern, by name.

    Raises FetchError if the bucket cannot be read.
    """
    from pyarrow import fs

    fixed = url.removeprefix("s3://")
    for mark in "*?[":
        fixed = fixed.split(mark, 1)[0]
    folder = fixed[: fixed.rindex("/")] if "/" in fixed else fixed
    try:
        found = _s3(folder, config).get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    except OSError as error:
        raise FetchError("s3", _without_secrets(error)) from error
    return sorted((info.path, info.size) for info in found if info.type == fs.FileType.File)


def _s3_attempt(url: str, part: _Part, config: CrawlConfig) -> None:
    from pyarrow import fs

    key, limit = url.removeprefix("s3://"), int(config.max_file_megabytes * 1e6)
    try:
        store = _s3(key, config)
        info = store.get_file_info(key)
        if info.type != fs.FileType.File:
            raise FetchError("s3_missing", f"there is no object {key}")
        if info.size > limit:
            raise FetchError("file_too_large", f"{info.size:,} bytes (crawl.max_file_megabytes)")
        version = f"{info.size} {info.mtime_ns}"
        if part.validator != version:
            part.begin(version)
        with store.open_input_file(key) as source, open(part.path, "ab") as file:
            while file.tell() < info.size:
                data = source.read_at(min(_S3_PIECE, info.size - file.tell()), file.tell())
                if not data:
                    raise _Again("connection", f"the object ended after {file.tell():,} of {info.size:,} bytes")
                file.write(data)
                file.flush()
    except PermissionError as error:
        raise FetchError("s3_denied", _without_secrets(error)) from error
    except OSError as error:
        text = _without_secrets(error)
        if any(code in text for code in ("ACCESS_DENIED", "Access Denied", "NO_SUCH_BUCKET", "HTTP status 403")):
            raise FetchError("s3_denied", text) from error
        raise _Again("s3", text) from error


def _s3(key: str, config: CrawlConfig) -> Any:
    """The store that the recipe and the environment configure; AWS_ENDPOINT_URL names one other than Amazon's."""
    from pyarrow import fs

    options = config.s3
    endpoint = options.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    region = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
    if region is None and endpoint is None:
        with contextlib.suppress(OSError):  # the store looks it up later itself, with a less clear error
            region = fs.resolve_s3_region(key.split("/", 1)[0])
    scheme, _, host = endpoint.rpartition("://") if endpoint else ("", "", None)
    proxy = Proxies(config.allow_private_hosts).of(f"{scheme or 'https'}://{host or 's3.amazonaws.com'}")
    return fs.S3FileSystem(
        anonymous=options.anonymous,
        region=region,
        endpoint_override=host.rstrip("/") if host else None,
        scheme=scheme or "https",
        proxy_options=proxy,
        request_timeout=config.page_seconds,
        connect_timeout=config.page_seconds,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),  # we try again ourselves, with our own backoff
    )


def _without_secrets(error: OSError) -> str:
    """The store's message without the secrets of the environment, in case it ever repeats them."""
    text = " ".join(str(error).split())[:300]
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text
