"""Politeness: when a host may be asked again, how it recovers from failures, and when it is given up."""

from __future__ import annotations

import heapq
import random
import time
from collections import defaultdict
from dataclasses import dataclass, field

from tasks.corpus.crawl.config import CrawlConfig

MAX_BACKOFF = 300.0  # seconds before one URL is tried again
MAX_RETRY_AFTER = 3600.0  # seconds; a host that asks for more is asked again after this
MAX_REST = 3600.0  # seconds that a failing host is left alone


@dataclass
class Host:
    """What is known about one host. Times are those of the monotonic clock."""

    name: str
    under_way: int = 0
    next_start: float = 0.0
    delay: float | None = None  # seconds between two starts; None until its robots.txt has been read
    failures: int = 0  # in a row
    rests: int = 0  # times it was left alone since its last answer
    gone: str | None = None  # why its URLs are no longer requested
    robots_failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # by origin, in a row
    origins_gone: set[str] = field(default_factory=set)  # origins whose robots.txt could never be fetched
    lists_found: set[str] = field(default_factory=set)  # origins whose sitemaps are queued


class Hosts:
    """All hosts: which of them may be asked next, and how their answers affect that."""

    def __init__(self, config: CrawlConfig) -> None:
        self._config = config
        self._hosts: dict[str, Host] = {}
        self._due: list[tuple[float, str]] = []
        self._planned: dict[str, float] = {}  # earliest entry of each host in `_due`
        self._parked: set[str] = set()  # hosts that wait until others finish a depth

    def __getitem__(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name)
        return host

    # -- whose turn it is --------------------------------------------------------------------------------------------

    def wake(self, name: str, when: float = 0.0) -> None:
        """Check at this time of the monotonic clock whether the host has work; 0: as soon as possible."""
        if self._planned.get(name, float("inf")) > when:
            self._planned[name] = when
            heapq.heappush(self._due, (when, name))

    def park(self, name: str) -> None:
        """Leave the host alone until `unpark`: its next URL waits until a depth is done."""
        self._parked.add(name)

    def unpark(self) -> None:
        """A depth is done: check the hosts that waited for it."""
        for name in sorted(self._parked):
            self.wake(name)
        self._parked.clear()

    def next_due(self, now: float) -> tuple[Host | None, float | None]:
        """Take the host that has been due longest, or return the seconds until one is due; None: no host is planned."""
        while self._due:
            when, name = self._due[0]
            if self._planned.get(name) != when:  # replanned since for an earlier time, and taken then
                heapq.heappop(self._due)
            elif when > now:
                return None, when - now
            else:
                heapq.heappop(self._due)
                del self._planned[name]
                return self[name], None
        return None, None

    def may_start(self, host: Host, now: float) -> bool:
        """Whether a request to the host may start now; if not before a later time, the host is planned for it."""
        # one at a time until robots.txt is known, and while it fails: one request finds out whether it recovered
        at_once = self._config.per_host if host.delay is not None and not host.failures else 1
        if host.under_way >= at_once:
            return False  # the end of a request wakes it
        if host.next_start > now and host.gone is None:
            self.wake(host.name, host.next_start)
            return False
        return True

    # -- what answers mean -------------------------------------------------------------------------------------------

    def started(self, host: Host, now: float) -> float:
        """A URL's turn has come; return the earliest time of a next request as it was before, for `not_asked`."""
        before = host.next_start
        host.under_way += 1
        host.next_start = now + (host.delay if host.delay is not None else self._config.delay)
        self.wake(host.name, host.next_start)
        return before

    def not_asked(self, host: Host, before: float) -> None:
        """A URL was settled without a request, so the next one need not wait for it."""
        host.next_start = before

    def learned_delay(self, host: Host, crawl_delay: float) -> None:
        """Adopt the Crawl-delay of a robots.txt; if a host has several origins, the longest delay counts."""
        longest = max(self._config.delay, min(crawl_delay, self._config.max_crawl_delay))
        host.delay = max(host.delay or 0.0, longest)

    def answered(self, host: Host) -> None:
        """The host answered normally."""
        host.failures = host.rests = 0

    def failed(self, host: Host, retry_after: float | None, pause: float, *, alive: bool) -> None:
        """An attempt failed in a way that may be temporary; `alive`: the host answers, but not now (408, 425, 429)."""
        now = time.monotonic()
        if retry_after is not None:  # the request to wait is for the whole host, not only for this page
            host.next_start = max(host.next_start, now + min(retry_after, MAX_RETRY_AFTER))
        elif alive:
            host.next_start = max(host.next_start, now + pause)
        if alive:
            return
        host.failures += 1
        if host.failures % self._config.failing_after == 0 or host.rests:
            if host.rests >= self._config.failing_rests:
                host.gone = "host_failing"
                return
            rest = min(MAX_REST, self._config.failing_rest * 2**host.rests)
            host.rests += 1
            host.next_start = max(host.next_start, now + rest)

    def backoff(self, tries: int, retry_after: float | None = None) -> float:
        """Return the seconds before the next attempt: doubling, with jitter, so that hosts are not hit in step."""
        pause = min(MAX_BACKOFF, self._config.backoff * 2**tries) * random.uniform(0.5, 1.5)
        return max(pause, min(retry_after or 0.0, MAX_RETRY_AFTER))
