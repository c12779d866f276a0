"""RSL licences by URL: requested at most once in 24 hours, with limits, and remembered in the frontier."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher
from tasks.corpus.crawl.frontier import Frontier
from tasks.corpus.crawl.rights import RSL, Statement
from tasks.corpus.crawl.robots import Robots
from tasks.corpus.crawl.rsl import MAX_BYTES, Terms, denies_everything, parse_rsl, said_of
from tasks.corpus.crawl.urls import canonical, origin_of

MAX_LICENCES = 2000  # of one crawl; a site that names a different one on each page would double the requests to it
MAX_REDIRECTS = 5
_KEPT_PARSED = 256


class Licences:
    """The terms in licences. An unavailable one counts as unknown: that is noted, and `rsl-unknown` decides."""

    def __init__(self, config: CrawlConfig, fetcher: Fetcher, frontier: Frontier, robots: Robots) -> None:
        self._config, self._fetcher, self._frontier, self._robots = config, fetcher, frontier, robots
        self._parsed: dict[str, list[Terms]] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last: dict[str, float] = {}  # origin → when a licence was last requested there (monotonic clock)

    async def said(self, licences: Iterable[str], page: str, where: str) -> list[Statement]:
        """Return what the licences named in one place (`where`) say about a page."""
        return [await self._said(url, page, where) for url in licences]

    async def deny_everything(self, licences: Iterable[str]) -> bool:
        """Whether one of these licences refuses training on every page of an origin."""
        return any([denies_everything((await self._terms(url))[1]) for url in licences])

    async def _said(self, url: str, page: str, where: str) -> Statement:
        problem, terms = await self._terms(url)
        if problem is not None:
            return Statement(RSL, "unknown", where, f"{url}: cannot be read ({problem})")
        return said_of(terms, page, where, url)

    async def _terms(self, url: str) -> tuple[str | None, list[Terms]]:
        async with self._locks[url]:
            remembered = self._frontier.licence(url)
            if remembered is None:
                self._parsed.pop(url, None)
                if self._frontier.licences() >= MAX_LICENCES:
                    return f"more than {MAX_LICENCES:,} licences in one crawl", []
                remembered = await self._fetch(url)
                self._frontier.set_licence(url, *remembered)
            problem, body = remembered
            if problem is not None:
                return problem, []
            if url not in self._parsed:
                if len(self._parsed) >= _KEPT_PARSED:
                    self._parsed.clear()
                self._parsed[url] = parse_rsl(body, url)
            terms = self._parsed[url]
            return (None, terms) if terms else ("no RSL terms in it", [])

    async def _fetch(self, url: str) -> tuple[str | None, bytes]:
        """Return a problem or the text; scheme, robots.txt and address are checked for each request."""
        target: str | None = canonical(url)
        for _ in range(MAX_REDIRECTS + 1):
            if not target:
                return "no URL of http or https", b""
            rules = await self._robots.rules(target)
            if not rules.known or not rules.allows(target):
                return "robots.txt does not let us", b""
            await self._wait(origin_of(target), max(self._config.delay, min(rules.delay, self._config.max_crawl_delay)))
            response = await self._fetcher.get(target, limit=MAX_BYTES)
            if response.problem is not None:
                return response.problem, b""
            if response.redirect is None:
                return (None, response.body) if response.ok else (f"http_{response.status}", b"")
            target = response.redirect
        return f"more than {MAX_REDIRECTS} redirects", b""

    async def _wait(self, origin: str, delay: float) -> None:
        now = time.monotonic()
        turn = max(now + delay, self._last.get(origin, 0.0) + delay)
        self._last[origin] = turn
        await asyncio.sleep(turn - now)
