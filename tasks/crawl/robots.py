"""robots.txt as RFC 9309 says: who may be asked for what, and how fast."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from tasks.crawl.config import CrawlConfig
from tasks.crawl.fetch import Fetcher, Response
from tasks.crawl.frontier import Frontier
from tasks.crawl.urls import origin_of

MAX_ROBOTS_BYTES = 512_000  # RFC 9309 § 2.5: at least 500 KiB must be read; what follows may be ignored
MAX_REDIRECTS = 5  # RFC 9309 § 2.3.1.2
_UNREACHABLE = 503


class Robots:
    """The rules of each origin, fetched once and remembered in the frontier for 24 hours."""

    def __init__(self, config: CrawlConfig, fetcher: Fetcher, frontier: Frontier) -> None:
        self._config, self._fetcher, self._frontier = config, fetcher, frontier
        self._agent = config.user_agent.partition("/")[0]
        self._rules: dict[str, Rules] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def rules(self, url: str) -> Rules:
        """Return the rules for a URL's origin; rules that are not `known` say: not now."""
        if not self._config.obey_robots:
            return Rules(None, self._agent, known=True)
        origin = origin_of(url)
        async with self._locks[origin]:
            if origin not in self._rules:
                remembered = self._frontier.robots(origin)
                if remembered is None:
                    remembered = await self._fetch(origin)
                    if remembered[0] < 500:
                        self._frontier.set_robots(origin, *remembered)
                rules = Rules.parse(remembered[0], remembered[1], self._agent)
                if not rules.known:
                    return rules  # ask again next time
                self._rules[origin] = rules
            return self._rules[origin]

    async def _fetch(self, origin: str) -> tuple[int, bytes]:
        url = f"{origin}/robots.txt"
        response = Response(url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._fetcher.get(url)
            if response.problem in ("private_address", "too_large", "broken_encoding"):
                return 404, b""  # no rules; a host of the own network is refused again for the page, which then says so
            if response.redirect is None:
                break
            if not response.redirect:
                return 404, b""
            url = response.redirect
        else:
            return 404, b""  # RFC 9309 § 2.3.1.2: more than five redirects count as unavailable
        if response.problem or response.status is None or response.transient:
            return _UNREACHABLE, b""
        return response.status, response.body[:MAX_ROBOTS_BYTES]


class Rules:
    """What one origin allows. `known` is False where robots.txt could not be had, so that nothing may be fetched."""

    def __init__(self, parser: Any, agent: str, *, known: bool) -> None:
        self._parser, self._agent, self.known = parser, agent, known

    @classmethod
    def parse(cls, status: int, body: bytes, agent: str) -> Rules:
        """Read an answer: 2xx has rules, 4xx means all is allowed, 5xx and silence mean nothing is, for now."""
        if status >= 500:
            return cls(None, agent, known=False)
        if not 200 <= status < 300:
            return cls(None, agent, known=True)
        from protego import Protego

        return cls(Protego.parse(body.decode("utf-8-sig", "replace")), agent, known=True)

    def allows(self, url: str) -> bool:
        """Return whether the URL may be fetched."""
        return self.known and (self._parser is None or bool(self._parser.can_fetch(url, self._agent)))

    @property
    def delay(self) -> float:
        """Seconds that Crawl-delay or Request-rate asks for between two requests; 0 where they are silent."""
        if self._parser is None:
            return 0.0
        rate = self._parser.request_rate(self._agent)
        per_request = rate.seconds / rate.requests if rate is not None and rate.requests else 0.0
        return max(float(self._parser.crawl_delay(self._agent) or 0.0), per_request)

    @property
    def sitemaps(self) -> list[str]:
        """URLs of sitemaps."""
        return [] if self._parser is None else list(self._parser.sitemaps)
