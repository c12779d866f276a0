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
from tasks.crawl.sitemaps import Entry, is_sitemap, is_url_list, parse_sitemap
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
        if not response.ok:
            return Harvest(f"http_{response.status}", response.status)
        mime = response.mime
        if (harvest := self._list(task, response)) is not None:
            return harvest
        if not scope.keeps(mime):
            return Harvest("mime", response.status, mime)
        page = self._links(task, mime, response.content_type, response.body, response.header("refresh"))
        wishes = self._wishes(page, response)
        links = self._entries(page, wishes)
        refused = next((wish for wish in (NOINDEX, NOARCHIVE, NOAI) if wish in wishes & self._honour), None)
        if refused is None and self._is_reserved(page, response, rules):
            refused = "tdm_reservation"
        if refused is not None:
            return Harvest(refused, response.status, mime, links=links)
        return Harvest("fetched", response.status, mime, response.detail, self.digest(response.body), links)

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

    def _list(self, task: Task, response: Response) -> Harvest | None:
        """Return what a sitemap or a feed names, None where the answer is neither.

        A seed may be one, whatever MIME type it has; further down a feed is what a page's rel=alternate leads to.
        """
        body, mime, page = response.body, response.mime, response.mime in _HTML
        if is_feed(body, page=page):
            entries = parse_feed(body, response.url)
            return Harvest("list", 200, mime, f"a feed of {_counted(len(entries), 'URL')}", links=list(entries))
        plain = task.depth == 0 and mime == "text/plain" and is_url_list(body)
        if not (task.kind == "list" or plain or is_sitemap(body, page=page)):
            return None
        found = parse_sitemap(body, base=response.url)
        entries = found.entries
        detail = f"a list of {_counted(len(entries), 'sitemap' if found.is_index else 'URL')}"
        detail += f"; {found.cut}" if found.cut else ""
        if found.is_index:
            return Harvest("list", 200, mime, detail, sitemaps=list(entries))
        return Harvest("list", 200, mime, detail, links=list(entries))

    def _links(
        self, task: Task, mime: str, content_type: str | None, body: bytes, refresh: str | None = None
    ) -> PageLinks:
        if mime not in _HTML:
            return PageLinks()
        return links_of(task.url, body, content_type, drop=self._drop, agent=self._agent, refresh=refresh)

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


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
