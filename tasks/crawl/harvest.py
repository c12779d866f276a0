"""What an answer is worth: a page to keep, a list of URLs, or nothing, and why; and the links it brings."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from tasks.crawl.config import CrawlConfig
from tasks.crawl.feeds import is_feed, parse_feed
from tasks.crawl.fetch import Response
from tasks.crawl.frontier import Task
from tasks.crawl.links import PageLinks, links_of
from tasks.crawl.robots import Rules
from tasks.crawl.scope import Scope
from tasks.crawl.sitemaps import Entry, is_sitemap, parse_sitemap
from tasks.crawl.wishes import NOAI, NOARCHIVE, NOFOLLOW, NOINDEX, TDM, directives, is_reserved

_HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class Harvest:
    """What a URL came to. `reason` is "fetched" for a page to keep; `links` are for the queue, in the page's order."""

    reason: str
    status: int | None = None
    mime: str | None = None
    detail: str | None = None
    digest: str | None = None
    links: list[Entry] = field(default_factory=list)
    sitemaps: list[Entry] = field(default_factory=list)  # further lists that a sitemap index names


class Harvester:
    """Judges answers by a config."""

    def __init__(self, config: CrawlConfig, drop: re.Pattern[str] | None) -> None:
        self._config, self._drop = config, drop
        self._honour = frozenset(config.honour)
        self._ignore = [re.compile(pattern.encode()) for pattern in config.digest_ignore]
        self._agent = config.agent_name

    def judge(self, task: Task, response: Response, rules: Rules, scope: Scope) -> Harvest:
        """Return what an answer that is final and no redirect is worth."""
        if response.problem is not None:
            return Harvest(response.problem, response.status, detail=response.detail)
        if response.status != 200:
            return Harvest(f"http_{response.status}", response.status)
        mime = response.mime
        # a seed may be a sitemap or a feed; further down a feed is what a page's rel=alternate leads to
        if task.kind == "list" or (mime not in _HTML and is_sitemap(response.body)):
            return self._list(response)
        if mime not in _HTML and is_feed(response.body):
            return Harvest("list", 200, mime, links=list(parse_feed(response.body, response.url)))
        if not scope.keeps(mime):
            return Harvest("mime", 200, mime)
        page = self._links(task, mime, response.header("content-type"), response.body)
        wishes = self._wishes(page, response)
        links = self._entries(page, wishes)
        refused = next((wish for wish in (NOINDEX, NOARCHIVE, NOAI) if wish in wishes & self._honour), None)
        if refused is None and self._is_reserved(page, response, rules):
            refused = "tdm_reservation"
        if refused is not None:
            return Harvest(refused, 200, mime, links=links)
        return Harvest("fetched", 200, mime, digest=self.digest(response.body), links=links)

    def refusal_of_headers(self, response: Response, rules: Rules) -> str | None:
        """Return why a page that has not changed (304) may no longer be kept, as far as headers say."""
        wishes = self._wishes(PageLinks(), response) & self._honour
        refused = next((wish for wish in (NOINDEX, NOARCHIVE, NOAI) if wish in wishes), None)
        if refused is None and response.header("tdm-reservation") and self._is_reserved(PageLinks(), response, rules):
            return "tdm_reservation"
        return refused

    def links_again(self, task: Task, mime: str, content_type: str | None, body: bytes) -> Harvest:
        """Return the links of a page as an earlier crawl stored it."""
        page = self._links(task, mime, content_type, body)
        return Harvest("unchanged", links=self._entries(page, self._wishes(page, Response(task.url))))

    def digest(self, body: bytes) -> str:
        """Return sha256 (hex) of a body without what `digest_ignore` matches."""
        for pattern in self._ignore:
            body = pattern.sub(b"", body)
        return hashlib.sha256(body).hexdigest()

    def _list(self, response: Response) -> Harvest:
        found = parse_sitemap(response.body)
        entries = list(found.entries)
        if found.is_index:
            return Harvest("list", 200, response.mime, sitemaps=entries)
        return Harvest("list", 200, response.mime, links=entries)

    def _links(self, task: Task, mime: str, content_type: str | None, body: bytes) -> PageLinks:
        if mime not in _HTML:
            return PageLinks()
        return links_of(task.url, body, content_type, drop=self._drop, agent=self._agent)

    def _wishes(self, page: PageLinks, response: Response) -> set[str]:
        said = directives(response.header_values("x-robots-tag"), self._agent)
        for contents in page.robots.values():  # meta tags name the crawler themselves, so a colon in them is no name
            said |= directives(contents, self._agent)
        return said

    def _entries(self, page: PageLinks, wishes: set[str]) -> list[Entry]:
        if not self._config.follow_links or NOFOLLOW in wishes & self._honour:
            return []
        return [Entry(url) for url in page.urls]

    def _is_reserved(self, page: PageLinks, response: Response, rules: Rules) -> bool:
        if TDM not in self._honour:
            return False
        path = "/" + response.url.split("/", 3)[3]
        return is_reserved(page.tdm_reservation, response.header("tdm-reservation"), rules.tdm, path)
