"""The crawl loop: takes URLs from the frontier at a polite rate and processes each one to its final outcome."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Fetcher, Response
from tasks.corpus.crawl.frontier import Frontier, Link, Task
from tasks.corpus.crawl.inside import links_inside, sitemaps_inside
from tasks.corpus.crawl.licences import Licences
from tasks.corpus.crawl.listening import Listener, said_before
from tasks.corpus.crawl.outcome import AnswerJudge, Outcome
from tasks.corpus.crawl.politeness import Host, Hosts
from tasks.corpus.crawl.rights import Statement, rights
from tasks.corpus.crawl.robots import Robots, Rules
from tasks.corpus.crawl.scope import Scope
from tasks.corpus.crawl.traps import Pattern, pattern_of
from tasks.corpus.crawl.urls import canonical, host_of, origin_of
from tasks.corpus.crawl.warc import WarcWriter
from tasks.corpus.crawl.warc_reader import read_bytes, read_response
from tasks.stage.output import Output

MAX_HOPS = 10  # redirects in a row
_ASKS_FOR_PATIENCE = frozenset({408, 425, 429})  # the host works, but wants to be asked later


class Crawler:
    """Crawls until the frontier is empty or a limit is reached; resumes if it is killed and started again.

    `previous_root` is the artifact of the crawl that this one refreshes; the frontier knows its pages.
    """

    def __init__(
        self,
        config: CrawlConfig,
        out: Output,
        frontier: Frontier,
        warc: WarcWriter,
        resolve: Mapping[str, tuple[str, ...]],
        previous_root: Path | None = None,
    ) -> None:
        self.config, self.out, self.frontier, self.warc = config, out, frontier, warc
        self.scope = Scope(config)
        names = "|".join(f"(?:{name})" for name in config.drop_parameters)
        self._drop = re.compile(names, re.I) if names else None
        self._answers = AnswerJudge(config, self._drop)
        self._resolve, self._previous_root = resolve, previous_root
        self._hosts = Hosts(config)
        self._patterns: dict[str, Pattern] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._floor: int | None = None
        self._kept, self._kept_bytes, self._done, self._known = frontier.totals()
        self.requests = 0

    # -- scheduling ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Crawl. An unexpected exception (a full disk, say) ends the crawl and leaves the frontier as it is."""
        self._enqueue(self.frontier.add(Link(url, host_of(url), 0) for url in self._seeds()))
        for name in self.frontier.hosts():
            self._hosts.wake(name)
        async with Fetcher(self.config, self._resolve) as self._fetcher:
            self._robots = Robots(self.config, self._fetcher, self.frontier)
            licences = Licences(self.config, self._fetcher, self.frontier, self._robots)
            self._listener = Listener(self.config, self.frontier, licences)
            try:
                while self._failure is None:
                    self._changed.clear()
                    wait = self._launch()
                    if not self._running and wait is None:
                        break
                    try:
                        async with asyncio.timeout(wait):
                            await self._changed.wait()
                    except TimeoutError:
                        continue
                    self._report()
            finally:
                for task in self._running:
                    task.cancel()
                await asyncio.gather(*self._running, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        self.frontier.skip_queued("page_limit")

    def _seeds(self) -> list[str]:
        return [url for seed in self.config.all_seeds if (url := canonical(seed, None, self._drop)) is not None]

    def _enqueue(self, links: list[Link]) -> None:
        for name in {link.host for link in links}:
            self._hosts.wake(name)
        self._known += len(links)

    def _launch(self) -> float | None:
        """Start every visit that may start now; return the seconds until the next one, None if it needs a response."""
        if self.frontier.floor != self._floor:
            self._floor = self.frontier.floor
            self._hosts.unpark()
        while len(self._running) < self.config.concurrency:
            room = self.config.max_pages - self._kept
            if room <= 0 or self._kept_bytes >= self.config.max_megabytes * 1e6:
                return None
            if self.config.breadth_first:
                self.frontier.limit(room)
            elif len(self._running) >= room:  # requests in progress count as kept
                return None
            now = time.monotonic()
            host, seconds = self._hosts.next_due(now)
            if host is None:
                return seconds
            if not self._hosts.may_start(host, now):
                continue
            task, later = self.frontier.take(host.name, time.time())
            if task is None:
                if later is not None:
                    self._hosts.wake(host.name, now + max(0.01, later - time.time()))
                self._hosts.park(host.name)
                continue
            running = asyncio.create_task(self._visit(task, host, self._hosts.started(host, now)))
            self._running.add(running)
            running.add_done_callback(functools.partial(self._ended, host))
        return None

    def _ended(self, host: Host, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        host.under_way -= 1
        self._hosts.wake(host.name)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._changed.set()

    # -- one URL -----------------------------------------------------------------------------------------------------

    async def _visit(self, task: Task, host: Host, before: float) -> None:
        """Process one URL to its final outcome, or postpone it; `before`: the earliest time its host could be asked."""
        if (reason := self._refusal(task, task.url) or self._known_trap(task)) is not None:
            self._hosts.not_asked(host, before)
            return self._finish(task, Outcome(reason))
        if reason := host.gone or ("robots_unreachable" if origin_of(task.url) in host.origins_gone else None):
            self._hosts.not_asked(host, before)
            return self._give_up(task, reason)
        rules = await self._robots.rules(task.url)
        if not rules.known:
            return self._robots_unreachable(task, host)
        host.robots_failures.pop(origin_of(task.url), None)
        self._hosts.learned_delay(host, rules.delay)
        if (asked := self._robots.asked.pop(origin_of(task.url), None)) is not None:  # just now, for robots.txt
            before = max(before, asked + (host.delay or 0.0))
            host.next_start = max(host.next_start, before + (host.delay or 0.0))
        self._queue_sitemaps(task, host, rules)
        old = self.frontier.previous(task.url)
        if not rules.allows(task.url):
            self._hosts.not_asked(host, before)
            return self._finish(task, Outcome("robots"))
        said = await self._listener.site(task.url, rules)
        refused = self._answers.may_train(said) if task.kind == "page" else None
        if refused is not None and await self._listener.denies_everything(task.url, rules):
            self._hosts.not_asked(host, before)
            return self._finish(task, Outcome(refused, said=said))
        if old is not None and self._surely_unchanged(task, old):
            self._hosts.not_asked(host, before)
            return await self._unchanged(task, Response(task.url), old, rules, said)
        if asked is not None:
            await asyncio.sleep(max(0.0, before - time.monotonic()))
        self.requests += 1
        is_list = task.kind == "list"
        response = await self._fetcher.get(task.url, _validators(old), is_list=is_list, pause=host.delay)
        if response.requests > 1:
            self.requests += response.requests - 1
            host.next_start = max(host.next_start, time.monotonic() + (host.delay or 0.0))
        await self._answered(task, host, rules, old, response, said)
        return None

    async def _answered(
        self,
        task: Task,
        host: Host,
        rules: Rules,
        old: dict[str, Any] | None,
        response: Response,
        said: list[Statement],
    ) -> None:
        if response.transient:
            return self._failed(task, host, response, said)
        self._hosts.answered(host)
        if response.redirect is not None:
            return self._redirected(task, response)
        if response.status == 304 and old is not None:
            return await self._unchanged(task, response, old, rules, said)
        if response.ok:
            said = [*said, *await self._listener.licences(response, response.body, response.mime)]
        said += self._listener.feeds(task.url)
        outcome = self._answers.judge(task, response, rules, self.scope, said)
        if outcome.reason == "fetched" and old is not None and old["payload_digest"] == outcome.digest:
            return self._carry_forward(task, response, old, outcome)
        return self._finish(task, outcome, response)

    def _refusal(self, task: Task, url: str) -> str | None:
        """Return why a URL (the task's or its redirect target) is not visited; a sitemap only needs an allowed host."""
        if task.kind == "list":
            return None if self.scope.has_host(host_of(url)) else "other_host"
        return self.scope.refusal(url, task.depth)

    def _known_trap(self, task: Task) -> str | None:
        """Return "trap" if, since the URL was queued, pages of its pattern have turned out to repeat themselves."""
        name = pattern_of(task.url)
        return "trap" if "#" in name and self._pattern(name, task.url).trapped else None

    def _surely_unchanged(self, task: Task, old: Mapping[str, Any]) -> bool:
        if not self.config.trust_lastmod or task.lastmod is None or old["fetched_at"] is None:
            return False
        return task.lastmod <= old["fetched_at"].timestamp()

    def _pattern(self, name: str, url: str) -> Pattern:
        if (pattern := self._patterns.get(name)) is None:
            if len(self._patterns) >= 10_000:  # the frontier stores them all
                self._patterns.clear()
            state = self.frontier.pattern(name)
            pattern = self._patterns[name] = Pattern.from_dict(state) if state is not None else Pattern.of(url)
        return pattern

    def _queue_sitemaps(self, task: Task, host: Host, rules: Rules) -> None:
        origin = origin_of(task.url)
        if not self.config.sitemaps or origin in host.lists_found:
            return
        host.lists_found.add(origin)
        named = [url for line in rules.sitemaps if (url := canonical(line, f"{origin}/robots.txt")) is not None]
        self._add_sitemaps(host, named or [f"{origin}/sitemap.xml"])

    def _add_sitemaps(self, host: Host, urls: list[str]) -> None:
        room = max(0, self.config.max_sitemaps - self.frontier.lists(host.name))
        self._enqueue(self.frontier.add(sitemaps_inside(urls, room, self.frontier, self.scope, host.name)))

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def _redirected(self, task: Task, response: Response) -> None:
        target = response.redirect or ""
        reason = "redirect"
        if not target:
            reason = "redirect_broken"
        elif target == task.url or task.hops >= MAX_HOPS:
            reason = "redirect_loop"
        elif refusal := self._refusal(task, target):
            reason = f"redirect_{refusal}"
        links = []
        if reason == "redirect":  # the target is queued in place of this URL
            links = [Link(target, host_of(target), task.depth, task.hops + 1, task.kind, task.lastmod, task.rank)]
        detail = target or response.header("location")
        if reason == "redirect_other_host" and task.depth == 0:  # example.org → www.example.org
            detail = f"{target}: {self.scope.way_to(host_of(target))}"
            self.out.warning(f"{task.url} redirects to {detail}.")
        self._commit(task, {"reason": reason, "detail": detail, "status": response.status}, links)

    def _failed(self, task: Task, host: Host, response: Response, said: list[Statement]) -> None:
        """Retry with exponential backoff; after `tries` attempts, give up or keep the page of the previous crawl."""
        retry_after = response.retry_after()
        pause = self._hosts.backoff(task.tries, retry_after)
        self._hosts.failed(host, retry_after, pause, alive=response.status in _ASKS_FOR_PATIENCE)
        reason = response.problem or f"http_{response.status}"
        if task.tries + 1 >= self.config.tries:
            return self._give_up(task, reason, response.detail, said)
        self.frontier.postpone(task, time.time() + pause)
        return None

    def _robots_unreachable(self, task: Task, host: Host) -> None:
        """Request nothing from an origin whose robots.txt is unavailable; after `tries` attempts, give up its URLs."""
        origin = origin_of(task.url)
        host.robots_failures[origin] += 1
        if host.robots_failures[origin] >= self.config.tries:
            host.origins_gone.add(origin)
            return self._give_up(task, "robots_unreachable")
        pause = self._hosts.backoff(host.robots_failures[origin] - 1, self._robots.retry_after.pop(origin, None))
        host.next_start = max(host.next_start, time.monotonic() + pause)
        self.frontier.postpone(task, time.time() + pause, count=False)
        return None

    def _give_up(self, task: Task, reason: str, detail: str | None = None, said: list[Statement] | None = None) -> None:
        old = self.frontier.previous(task.url)
        if old is not None and said is not None and (refused := self._answers.may_train(said)) is not None:
            return self._finish(task, Outcome(refused, detail=detail, said=said))
        if old is not None:  # a site that is down for a while must not empty the corpus
            headers, body = self._stored(old)
            said = [*(said or []), *said_before(old), *self._listener.feeds(task.url)]
            outcome = self._answers.judge_again(task, old["mime"], headers, body, Response(task.url), Rules(), said)
            if outcome.reason == "unchanged":
                return self._carry_forward(task, Response(task.url), old, outcome, "unreachable_kept")
            return self._finish(task, outcome)
        return self._finish(task, Outcome(reason, detail=detail))

    async def _unchanged(
        self, task: Task, answer: Response, old: dict[str, Any], rules: Rules, said: list[Statement]
    ) -> None:
        """Keep the page as the previous crawl stored it, unless training on it is now refused."""
        headers, body = self._stored(old)
        found = await self._listener.licences(answer, body, old["mime"])
        before = [one for one in said_before(old) if one.where == "header"]
        said = [*said, *found, *before, *self._listener.feeds(task.url)]
        outcome = self._answers.judge_again(task, old["mime"], headers, body, answer, rules, said)
        if outcome.reason != "unchanged":
            return self._finish(task, outcome)
        return self._carry_forward(task, answer, old, outcome)

    def _stored(self, old: dict[str, Any]) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of a page as the previous crawl stored it."""
        assert self._previous_root is not None
        return read_response(self._previous_root, old["file"], old["offset"])

    def _carry_forward(
        self, task: Task, response: Response, old: dict[str, Any], outcome: Outcome, reason: str = "unchanged"
    ) -> None:
        """Keep the page as the previous crawl stored it, with its date; follow its links as if it were new."""
        assert self._previous_root is not None
        stored = read_bytes(self._previous_root / old["file"], old["offset"], old["length"])
        place = self.warc.write_unchanged(response, stored, {"depth": task.depth, "reason": reason})
        names = ("status", "mime", "payload_digest", "n_bytes", "fetched_at", "etag", "last_modified", "detail")
        page: dict[str, Any] = {name: old[name] for name in names} | vars(place)
        page["etag"] = response.header("etag") or page["etag"]
        page["last_modified"] = response.header("last-modified") or page["last_modified"]
        page["rights"] = rights(outcome.said)
        self._commit(task, {**page, "reason": reason}, links_inside(task, outcome, self.frontier, self.scope))

    def _finish(self, task: Task, outcome: Outcome, response: Response | None = None) -> None:
        page: dict[str, Any] = {"reason": outcome.reason, "detail": outcome.detail, "status": outcome.status}
        page["mime"] = outcome.mime
        pattern = None
        if outcome.said or outcome.reason == "fetched":
            page["rights"] = rights(outcome.said)
        if outcome.reason == "list":
            for size in self._listener.heed(outcome.said_of):
                self._kept, self._kept_bytes = self._kept - 1, self._kept_bytes - size
            self._add_sitemaps(self._hosts[task.host], [entry.url for entry in outcome.sitemaps])
        if outcome.reason == "fetched":
            assert response is not None
            metadata = {
                "depth": task.depth,
                "outlinks": len(outcome.links),
                "fetchTimeMs": round((time.time() - response.started_at.timestamp()) * 1000),
            }
            place = self.warc.write_response(response, metadata)
            page |= {
                "payload_digest": outcome.digest,
                "n_bytes": len(response.body),
                "fetched_at": response.started_at,
                "etag": response.header("etag"),
                "last_modified": response.header("last-modified"),
                **vars(place),
            }
            name = pattern_of(task.url)
            if "#" in name and self.config.cut_repeats:
                found = self._pattern(name, task.url)
                found.add(response.body)
                pattern = (name, found.to_dict())
        self._commit(task, page, links_inside(task, outcome, self.frontier, self.scope), pattern)

    def _commit(
        self,
        task: Task,
        page: dict[str, Any],
        links: list[Link],
        pattern: tuple[str, dict[str, Any]] | None = None,
    ) -> None:
        page = {"n_bytes": 0, "depth": task.depth, **{key: value for key, value in page.items() if value is not None}}
        warc = self.warc.position if "file" in page else None
        new = self.frontier.finish(task, page, links, warc, pattern)
        self._enqueue(new)
        self._done += 1
        if warc is not None:
            self._kept += 1
            self._kept_bytes += page["n_bytes"]
        elif not (page["reason"] == "redirect" and new) and (host := self.frontier.extend()) is not None:
            self._hosts.wake(host)

    def _report(self) -> None:
        self.out.progress(self._done, self._known, "URLs", f"{self._kept:,} pages, {self._kept_bytes / 1e6:.1f} MB")


def _validators(old: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the request headers that ask for a page only if it has changed (RFC 9110 § 13.1)."""
    names = {"If-None-Match": "etag", "If-Modified-Since": "last_modified"}
    return {name: old[field] for name, field in names.items() if old[field]} if old is not None else {}
