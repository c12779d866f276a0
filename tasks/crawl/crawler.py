"""The crawl itself: takes URLs from the frontier, politely, and stores what they come to."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.crawl.config import CrawlConfig
from tasks.crawl.fetch import Fetcher, Response
from tasks.crawl.frontier import Frontier, Link, Task
from tasks.crawl.links import links_of, sitemap_urls
from tasks.crawl.robots import Robots
from tasks.crawl.scope import Scope
from tasks.crawl.urls import canonical, host_of
from tasks.crawl.warc import WarcWriter, read_bytes, read_responses
from tasks.output import Output

MAX_BACKOFF = 300.0  # seconds
MAX_HOPS = 10  # redirects in a row
_HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass
class _Host:
    """What politeness needs to know of one host. Times are of the monotonic clock."""

    under_way: int = 0
    next_start: float = 0.0
    delay: float | None = None  # seconds between two starts; None until its robots.txt has been read
    sitemaps_read: bool = False


class Crawler:
    """Crawls until the frontier is empty or a limit is reached; killed and started again, it goes on.

    `previous` maps URLs to their rows in the pages.parquet of the crawl that this one refreshes, and
    `previous_root` is that artifact.
    """

    def __init__(
        self,
        config: CrawlConfig,
        out: Output,
        frontier: Frontier,
        warc: WarcWriter,
        resolve: Mapping[str, tuple[str, ...]],
        previous: Mapping[str, dict[str, Any]] | None = None,
        previous_root: Path | None = None,
    ) -> None:
        self.config, self.out, self.frontier, self.warc = config, out, frontier, warc
        self.scope = Scope(config)
        self._resolve = resolve
        self._previous, self._previous_root = previous or {}, previous_root
        self._ignore = [re.compile(pattern.encode()) for pattern in config.digest_ignore]
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._waiting: set[str] = set()  # hosts with queued URLs
        self._kept, self._kept_bytes, self._done, self._known = frontier.totals()
        self.requests = 0

    async def run(self) -> None:
        """Crawl. An unexpected exception (a full disk, say) ends the crawl and leaves the frontier as it is."""
        self._enqueue(self.frontier.add(Link(url, host_of(url), 0) for url in self._seeds()))
        self._waiting.update(self.frontier.hosts())
        running: set[asyncio.Task[None]] = set()
        async with Fetcher(self.config, self._resolve) as self._fetcher:
            self._robots = Robots(self.config, self._fetcher, self.frontier)
            try:
                while True:
                    wait = self._launch(running)
                    if not running and wait is None:
                        break
                    if not running:
                        await asyncio.sleep(wait or 0.0)
                        continue
                    done, _ = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        running.discard(task)
                        task.result()
                    self._report()
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        self.frontier.skip_queued("page_limit")

    def _seeds(self) -> list[str]:
        return [url for seed in self.config.all_seeds if (url := canonical(seed)) is not None]

    def _enqueue(self, links: list[Link]) -> None:
        self._waiting.update(link.host for link in links)
        self._known += len(links)

    def _launch(self, running: set[asyncio.Task[None]]) -> float | None:
        """Start what may start now; return the seconds until more may, or None where only an answer can bring more."""
        soonest: float | None = None
        for name in sorted(self._waiting):
            host = self._hosts[name]
            at_once = self.config.per_host if host.delay is not None else 1
            while len(running) < self.config.concurrency and host.under_way < at_once:
                # pages under way count as kept: so the pages within a limit are the first ones, whatever answers when
                full = self._kept + len(running) >= self.config.max_pages
                if full or self._kept_bytes >= self.config.max_megabytes * 1e6:
                    return None
                pause = host.next_start - time.monotonic()
                if pause > 0:
                    soonest = pause if soonest is None else min(soonest, pause)
                    break
                task, later = self.frontier.take(name, time.time())
                if task is None:
                    if later is not None:
                        pause = max(0.01, later - time.time())
                        soonest = pause if soonest is None else min(soonest, pause)
                    elif host.under_way == 0:
                        self._waiting.discard(name)
                    break
                host.under_way += 1
                host.next_start = time.monotonic() + (host.delay or self.config.delay)
                running.add(asyncio.create_task(self._visit(task, host)))
        return soonest

    async def _visit(self, task: Task, host: _Host) -> None:
        """Bring one URL to its end, or postpone it."""
        try:
            refusal = self.scope.refusal(task.url, task.depth)
            if refusal is not None:  # a seed outside its own scope
                return self._finish(task, refusal)
            rules = await self._robots.rules(task.url)
            if not rules.known:
                return self._later(task, host, "robots_unreachable", self.config.backoff, None)
            if host.delay is None:  # a host may have several origins, with several delays: the longest one counts
                host.delay = self.config.delay
            host.delay = max(host.delay, min(rules.delay, self.config.max_crawl_delay))
            host.next_start = max(host.next_start, time.monotonic() + host.delay)
            if self.config.sitemaps and not host.sitemaps_read:
                host.sitemaps_read = True
                await self._read_sitemaps(rules.sitemaps)
            if not rules.allows(task.url):
                return self._finish(task, "robots")
            self.requests += 1
            response = await self._fetcher.get(task.url, self._validators(task.url))
            self._handle(task, host, response)
        finally:
            host.under_way -= 1

    def _validators(self, url: str) -> dict[str, str]:
        old = self._previous.get(url, {})
        names = {"If-None-Match": old.get("etag"), "If-Modified-Since": old.get("last_modified")}
        return {name: value for name, value in names.items() if value}

    def _handle(self, task: Task, host: _Host, response: Response) -> None:
        old = self._previous.get(task.url)
        if response.transient:
            reason = response.problem or f"http_{response.status}"
            return self._later(task, host, reason, response.retry_after(), response.detail)
        if response.problem is not None:
            return self._finish(task, response.problem, response.detail, response.status)
        if response.status == 304 and old is not None:
            return self._carry_forward(task, response, old)
        if response.redirect is not None:
            return self._redirected(task, response)
        if response.status != 200:
            return self._finish(task, f"http_{response.status}", status=response.status)
        if not self.scope.keeps(response.mime):
            return self._finish(task, "mime", status=200, mime=response.mime)
        return self._keep(task, response, old)

    def _keep(self, task: Task, response: Response, old: dict[str, Any] | None) -> None:
        digest = self.digest(response.body)
        if old is not None and old["payload_digest"] == digest:
            return self._carry_forward(task, response, old)
        found = links_of(task.url, response.body, response.header("x-robots-tag")) if response.mime in _HTML else None
        if found is not None and self.config.obey_robots and found.noindex:
            return self._finish(task, "noindex", status=200, mime=response.mime, links=found.urls)
        metadata = {"depth": task.depth, "outlinks": len(found.urls) if found else 0}
        place = self.warc.write_response(response, metadata)
        self._finish(
            task,
            "fetched",
            status=200,
            mime=response.mime,
            links=found.urls if found else [],
            payload_digest=digest,
            n_bytes=len(response.body),
            fetched_at=response.started_at,
            etag=response.header("etag"),
            last_modified=response.header("last-modified"),
            **vars(place),
        )
        return None

    def _carry_forward(self, task: Task, response: Response, old: dict[str, Any], reason: str = "unchanged") -> None:
        """Keep the page as the previous crawl stored it, with its date; follow its links as if it were new."""
        assert self._previous_root is not None
        stored = read_bytes(self._previous_root / old["file"], old["offset"], old["length"])
        place = self.warc.write_unchanged(response, stored, {"depth": task.depth, "reason": reason})
        _, body = next(read_responses(self._previous_root, [(old["file"], old["offset"])]))
        names = ("status", "mime", "payload_digest", "n_bytes", "fetched_at", "etag", "last_modified")
        page: dict[str, Any] = {name: old[name] for name in names} | vars(place)
        page["etag"] = response.header("etag") or page["etag"]
        page["last_modified"] = response.header("last-modified") or page["last_modified"]
        links = links_of(task.url, body).urls if old["mime"] in _HTML else []
        self._finish(task, reason, links=links, **page)

    def _redirected(self, task: Task, response: Response) -> None:
        target = response.redirect or ""
        reason = "redirect"
        if not target:
            reason = "redirect_broken"
        elif task.hops >= MAX_HOPS:
            reason = "redirect_loop"
        elif refusal := self.scope.refusal(target, task.depth):
            reason = f"redirect_{refusal}"
        link = [Link(target, host_of(target), task.depth, task.hops + 1)] if reason == "redirect" else []
        detail = target or response.header("location")
        self._commit(task, {"reason": reason, "detail": detail, "status": response.status}, link)

    def _later(self, task: Task, host: _Host, reason: str, retry_after: float | None, detail: str | None) -> None:
        """Try again with exponential backoff and jitter; after `tries`, give up, or keep what a previous crawl has."""
        if task.tries + 1 >= self.config.tries:
            old = self._previous.get(task.url)
            if old is not None:  # a site that is down tonight does not empty the corpus
                return self._carry_forward(task, Response(task.url), old, "unreachable_kept")
            return self._finish(task, reason, detail)
        pause = min(MAX_BACKOFF, self.config.backoff * 2**task.tries) * random.uniform(0.5, 1.5)
        if retry_after is not None:
            pause = max(pause, min(retry_after, MAX_BACKOFF))
            host.next_start = max(host.next_start, time.monotonic() + pause)  # it is the host that asks for peace
        self.frontier.postpone(task, time.time() + pause)
        self._waiting.add(task.host)
        return None

    async def _read_sitemaps(self, todo: list[str]) -> None:
        limit, seen = int(self.config.max_page_megabytes * 1e6), set[str]()
        while todo and len(seen) < 100:
            url = canonical(todo.pop(0))
            if url is None or url in seen or self.scope.refusal(url, 0) == "other_host":
                continue
            seen.add(url)
            response = await self._fetcher.get(url)
            found = sitemap_urls(response.body, limit) if response.status == 200 and not response.problem else []
            if b"<sitemapindex" in response.body[:2000]:
                todo.extend(found)
            else:
                links = [Link(link, host_of(link), 1) for link in found if self.scope.refusal(link, 1) is None]
                self._enqueue(self.frontier.add(links))

    def _finish(
        self,
        task: Task,
        reason: str,
        detail: str | None = None,
        status: int | None = None,
        links: list[str] | None = None,
        **page: Any,
    ) -> None:
        depth = task.depth + 1
        inside = [Link(url, host_of(url), depth) for url in links or [] if self.scope.refusal(url, depth) is None]
        self._commit(task, {"reason": reason, "detail": detail, "status": status, **page}, inside)

    def _commit(self, task: Task, page: dict[str, Any], links: list[Link]) -> None:
        page = {"n_bytes": 0, "depth": task.depth, **{key: value for key, value in page.items() if value is not None}}
        warc = self.warc.position if "file" in page else None
        self._enqueue(self.frontier.finish(task.url, page, links, warc))
        self._done += 1
        if warc is not None:
            self._kept += 1
            self._kept_bytes += page["n_bytes"]

    def digest(self, body: bytes) -> str:
        """Return sha256 (hex) of a body without what `digest_ignore` matches."""
        for pattern in self._ignore:
            body = pattern.sub(b"", body)
        return hashlib.sha256(body).hexdigest()

    def _report(self) -> None:
        self.out.progress(self._done, self._known, "URLs", f"{self._kept:,} pages, {self._kept_bytes / 1e6:.1f} MB")
