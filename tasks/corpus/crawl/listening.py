"""Statements about training on a page that come from its site, licences, feeds or an earlier crawl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.fetch import Response
from tasks.corpus.crawl.frontier import Frontier
from tasks.corpus.crawl.licences import Licences
from tasks.corpus.crawl.outcome import HTML
from tasks.corpus.crawl.rights import CONTENT_SIGNAL, CONTENT_USAGE, RSL, RSL_UNKNOWN, Statement, refusal, rights
from tasks.corpus.crawl.robots import Rules
from tasks.corpus.crawl.rsl import licences_in_headers, licences_in_page
from tasks.corpus.crawl.urls import canonical, origin_of


class Listener:
    """Collects statements about training from all sources that may have made one."""

    def __init__(self, config: CrawlConfig, frontier: Frontier, licences: Licences) -> None:
        self._honour, self._frontier, self._licences = config.honour, frontier, licences
        self._reads_licences = not {RSL, RSL_UNKNOWN}.isdisjoint(config.honour)

    async def site(self, url: str, rules: Rules) -> list[Statement]:
        """Return what the robots.txt of a page's site, and the licences that it names, say about the page."""
        if not (rules.signals.rules or rules.signals.licences):
            return []
        where = f"{origin_of(url)}/robots.txt"
        said = rules.signals.said("/" + url.split("/", 3)[3], where)
        if self._reads_licences:
            said += await self._licences.said(self._licences_of(url, rules), url, where)
        return said

    async def denies_everything(self, url: str, rules: Rules) -> bool:
        """Whether a page's site forbids training on all of its pages, so that none of them need be requested."""
        signals = rules.signals
        if any(name in self._honour and signals.everywhere(name) for name in (CONTENT_SIGNAL, CONTENT_USAGE)):
            return True
        return RSL in self._honour and await self._licences.deny_everything(self._licences_of(url, rules))

    async def licences(self, answer: Response, body: bytes, mime: str) -> list[Statement]:
        """Return what the RSL licences say that a response's headers or its page name, or that the page contains."""
        if not self._reads_licences:
            return []
        said = []
        if links := licences_in_headers(answer.header_values("link"), answer.url):
            said += await self._licences.said(links, answer.url, "header")
        if mime in HTML:
            linked, terms = licences_in_page(body, answer.url)
            said += await self._licences.said(linked, answer.url, "page")
            said += [Statement(RSL, one.train, "page", one.words) for one in terms]
        return said

    def feeds(self, url: str) -> list[Statement]:
        """Return what feeds have said about a page so far."""
        return [Statement.from_dict(statement) for statement in self._frontier.statements(url)]

    def heed(self, said_of: list[tuple[str, Statement]]) -> list[int]:
        """Remember what a feed says about pages; drop stored ones that are now refused, and return their sizes."""
        self._frontier.add_statements((url, statement.to_dict()) for url, statement in said_of)
        sizes = []
        for url in dict.fromkeys(url for url, _ in said_of):
            page = self._frontier.page(url)
            if page is None or "file" not in page:
                continue
            said = [*said_before(page), *self.feeds(url)]
            page["rights"] = rights(said)
            if (refused := refusal(said, self._honour)) is not None:
                sizes.append(page["n_bytes"])
                page = {name: page[name] for name in ("status", "mime", "depth", "rights") if name in page}
                page |= {"reason": refused, "n_bytes": 0}
            self._frontier.set_page(url, page)
        return sizes

    def _licences_of(self, url: str, rules: Rules) -> list[str]:
        base = f"{origin_of(url)}/robots.txt"
        return [canonical(name, base) or name for name in rules.signals.licences]


def said_before(page: Mapping[str, Any]) -> list[Statement]:
    """Return the statements in a page's row from a crawl; none if that crawl did not collect them yet."""
    return [Statement.from_dict(one) for one in (page.get("rights") or {}).get("said", ())]
