"""robots.txt (RFC 9309) and tdmrep.json: which requests are allowed, how fast, and what may be mined."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher, Response
from tasks.corpus.crawl.frontier import Frontier
from tasks.corpus.crawl.rights import CONTENT_SIGNAL, CONTENT_USAGE, RSL
from tasks.corpus.crawl.robots_meta import TDM, TDMREP_PATH, Rule, parse_tdmrep
from tasks.corpus.crawl.signals import Signals, parse_signals
from tasks.corpus.crawl.urls import origin_of

MAX_ROBOTS_BYTES = 512_000  # RFC 9309 § 2.5: at least 500 KiB must be read; what follows is ignored
MAX_REDIRECTS = 5  # RFC 9309 § 2.3.1.2
_UNREACHABLE = 503
_SAID_IN_ROBOTS = frozenset({CONTENT_SIGNAL, CONTENT_USAGE, RSL})
_AGENT_LINE = re.compile(r"^([ \t]*user-?agent[ \t]*:[ \t]*)([^#\r\n]*)", re.I | re.M)
_TOKEN = re.compile(r"[a-z_-]+", re.I)
# Characters that end a line for str.splitlines, which Protego calls, but not by RFC 9309 § 2.2.
_NO_LINE_END = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


class Robots:
    """The rules of each origin, fetched once and remembered in the frontier for 24 hours."""

    def __init__(self, config: CrawlConfig, fetcher: Fetcher, frontier: Frontier) -> None:
        self._config, self._fetcher, self._frontier = config, fetcher, frontier
        self._rules: dict[str, Rules] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.asked: dict[str, float] = {}  # origin → when it was last asked for these files (monotonic clock)
        self.retry_after: dict[str, float] = {}  # origin → the seconds to wait that its robots.txt's response asked for

    async def rules(self, url: str) -> Rules:
        """Return the rules for a URL's origin; rules that are not `known` mean: not now."""
        origin = origin_of(url)
        if (rules := self._rules.get(origin)) is not None and self._frontier.remembers(origin):
            return rules
        async with self._locks[origin]:
            remembered = self._frontier.robots(origin)
            if remembered is None:
                remembered = await self._fetch(origin)
                if remembered[0] >= 500:
                    return Rules(known=False)  # asked again next time
                self._frontier.set_robots(origin, *remembered)
                self.asked[origin] = time.monotonic()
            self._rules[origin] = rules = self._parse(*remembered)
            return rules

    def _parse(self, status: int, body: bytes, tdmrep: bytes = b"") -> Rules:
        return Rules.parse(status, body, tdmrep, self._config.agent_name, obey=self._config.obey_robots)

    async def _fetch(self, origin: str) -> tuple[int, bytes, bytes]:
        """Return the status and text of robots.txt, and the text of tdmrep.json."""
        status, body = (404, b"")
        if self._config.obey_robots or not _SAID_IN_ROBOTS.isdisjoint(self._config.honour):
            status, body = await self._fetch_robots(origin)
            if status >= 500 and not self._config.obey_robots:
                status = 404
        if status >= 500 or TDM not in self._config.honour:
            return status, body, b""
        rules = self._parse(status, body)
        if not rules.allows(origin + TDMREP_PATH):
            return status, body, b""
        await asyncio.sleep(max(self._config.delay, min(rules.delay, self._config.max_crawl_delay)))
        answer = await self._fetcher.get(origin + TDMREP_PATH, limit=MAX_ROBOTS_BYTES)
        return status, body, answer.body if answer.problem is None and answer.ok else b""

    async def _fetch_robots(self, origin: str) -> tuple[int, bytes]:
        url = f"{origin}/robots.txt"
        response = Response(url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._fetcher.get(url, limit=MAX_ROBOTS_BYTES, truncate=True)
            if response.problem == "private_address" and url == f"{origin}/robots.txt":
                return 404, b""  # no rules; an internal host is refused again, and reported, when the page is fetched
            if response.redirect is None:
                break
            if not response.redirect:
                return 404, b""
            url = response.redirect
        else:
            return 404, b""  # RFC 9309 § 2.3.1.2: more than five redirects count as unavailable
        # § 2.3.1.4, and 429: as a 4xx it "may" allow everything, but it says "not now" explicitly
        if response.problem or response.status is None or response.status >= 500 or response.status in (408, 425, 429):
            if (seconds := response.retry_after()) is not None:
                self.retry_after[origin] = seconds
            return _UNREACHABLE, b""
        return response.status, response.body


@dataclass(frozen=True)
class Rules:
    """What one origin allows. `known` is False if robots.txt was unavailable, so that nothing may be fetched."""

    known: bool = True
    parser: Any = None
    agent: str = "*"
    tdm: list[Rule] = field(default_factory=list)
    signals: Signals = field(default_factory=Signals)

    @classmethod
    def parse(cls, status: int, body: bytes, tdmrep: bytes, agent: str, *, obey: bool = True) -> Rules:
        """Read a response: 2xx has rules, 3xx and 4xx mean everything is allowed, 5xx means nothing is, for now.

        obey: if False, only what it says about training counts, not what may be fetched.

        Protego applies rules as RFC 9309 says (longest match, allow on a tie, `*` and `$`, percent-encoding). But it
        accepts any group whose name is a prefix of ours, so group names are made exact before it sees them (§ 2.2.1:
        the product token, whatever its case or version).
        """
        if status >= 500:
            return cls(known=False)
        parser, signals = None, Signals()
        if 200 <= status < 300 and body.strip():
            from protego import Protego

            text = body[:MAX_ROBOTS_BYTES].decode("utf-8-sig", "replace").replace("\0", "\ufffd")
            text = _NO_LINE_END.sub(lambda found: " " if found[0] < " " else quote(found[0]), text)
            text = _AGENT_LINE.sub(lambda line: line[1] + _group(line[2], agent), text)
            parser = Protego.parse(text) if obey else None
            signals = parse_signals(text, agent)
        return cls(True, parser, agent, parse_tdmrep(tdmrep) if tdmrep else [], signals)

    def allows(self, url: str) -> bool:
        """Return whether the URL may be fetched."""
        return self.known and (self.parser is None or bool(self.parser.can_fetch(url, self.agent)))

    @property
    def delay(self) -> float:
        """Seconds that Crawl-delay or Request-rate asks for between two requests; 0 if neither is given."""
        if self.parser is None:
            return 0.0
        rate = self.parser.request_rate(self.agent)
        try:
            per_request = rate.seconds / rate.requests if rate is not None and rate.requests else 0.0
        except OverflowError:  # numbers of hundreds of digits
            per_request = 1e9
        return max(float(self.parser.crawl_delay(self.agent) or 0.0), per_request)

    @property
    def sitemaps(self) -> list[str]:
        """The URLs of sitemaps that robots.txt names."""
        return [] if self.parser is None else list(self.parser.sitemaps)


def _group(name: str, agent: str) -> str:
    """Return the group name to give to the parser: our own, `*`, or one that matches no crawler."""
    name = name.strip()
    if name.startswith("*"):
        return "*"
    token = _TOKEN.match(name)
    return agent if token is not None and token[0].lower() == agent.lower() else "-"
