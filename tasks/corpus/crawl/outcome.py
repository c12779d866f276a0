"""The outcome of a response: a page to keep, a list of URLs, or nothing and the reason; and its links."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.feeds import is_feed, parse_feed
from tasks.corpus.crawl.fetch import Response
from tasks.corpus.crawl.frontier import Task
from tasks.corpus.crawl.links import PageLinks, links_of
from tasks.corpus.crawl.rights import Statement, refusal
from tasks.corpus.crawl.robots import Rules
from tasks.corpus.crawl.robots_meta import NOAI, NOARCHIVE, NOFOLLOW, NOINDEX, TDM, reservation, robots_directives
from tasks.corpus.crawl.rsl import said_in_feed
from tasks.corpus.crawl.scope import Scope
from tasks.corpus.crawl.signals import said_in_headers
from tasks.corpus.crawl.sitemaps import Entry, is_sitemap, is_url_list, parse_sitemap
from tasks.corpus.crawl.urls import host_of

HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class Outcome:
    """The outcome for a URL. `reason` is "fetched" for a page to keep; `links` go to the queue, in the page's order."""

    reason: str
    status: int | None = None
    mime: str | None = None
    detail: str | None = None
    digest: str | None = None
    links: list[Entry] = field(default_factory=list)
    sitemaps: list[Entry] = field(default_factory=list)  # further lists that a sitemap index names
    unfollowed: list[tuple[str, str, str]] = field(default_factory=list)  # (URL, reason, detail): links not followed
    said: list[Statement] = field(default_factory=list)  # about training on the page
    said_of: list[tuple[str, Statement]] = field(default_factory=list)  # about training on pages that a feed lists


class AnswerJudge:
    """Decides the outcome of responses, following a config."""

    def __init__(self, config: CrawlConfig, drop: re.Pattern[str] | None) -> None:
        self._config, self._drop = config, drop
        self._honour = frozenset(config.honour)
        self._ignore = [re.compile(pattern.encode()) for pattern in config.digest_ignore]
        self._agent = config.agent_name

    def judge(
        self, task: Task, response: Response, rules: Rules, scope: Scope, said: Sequence[Statement] = ()
    ) -> Outcome:
        """Return the outcome of a final response, not a redirect; `said`: statements elsewhere on training with it."""
        if response.problem is not None:
            return Outcome(response.problem, response.status, detail=response.detail)
        if not response.ok:
            return Outcome(f"http_{response.status}", response.status)
        mime = response.mime
        if (outcome := self._list(task, response)) is not None:
            return outcome
        if not scope.keeps(mime):
            return Outcome("mime", response.status, mime)
        page = self._links(task, mime, response.content_type, response.body, response.header("refresh"))
        directives = self._directives(page, response)
        links = self._entries(page, directives)
        said = [*said, *self._said(page, directives, response, rules)]
        if (refused := self._refusal(directives, said)) is not None:
            left = self._unfollowed(page, directives)
            return Outcome(refused, response.status, mime, links=links, unfollowed=left, said=said)
        digest = self.digest(response.body)
        left, detail = self._unfollowed(page, directives), _detail(page, response, scope)
        return Outcome("fetched", response.status, mime, detail, digest, links, unfollowed=left, said=said)

    def judge_again(
        self, task: Task, mime: str, headers: Mapping[str, str], body: bytes, answer: Response, rules: Rules,
        said: Sequence[Statement],
    ) -> Outcome:  # fmt: skip
        """Return the outcome for a page that an earlier crawl stored and that, as `answer` says, has not changed."""
        refresh = answer.header("refresh") or headers.get("refresh")
        page = self._links(task, mime, headers.get("content-type"), body, refresh)
        directives = self._directives(page, answer)
        links = self._entries(page, directives)
        # a 304 need not repeat the headers of the page (RFC 9110 § 15.4.5), so what they said before still holds
        reserved = next((one.words[-1] for one in said if one.protocol == TDM and one.where == "header"), None)
        found = self._said(page, directives, answer, rules, reserved)
        heard = {TDM, *(one.protocol for one in found if one.where == "header")}
        said = [one for one in said if one.where != "header" or one.protocol not in heard] + found
        reason, left = self._refusal(directives, said) or "unchanged", self._unfollowed(page, directives)
        return Outcome(reason, answer.status, links=links, unfollowed=left, said=said)

    def may_train(self, said: Sequence[Statement]) -> str | None:
        """Return why statements about training forbid keeping a page; None if it may be kept."""
        return refusal(said, self._honour)

    def digest(self, body: bytes) -> str:
        """Return sha256 (hex) of a body without what `digest_ignore` matches."""
        for pattern in self._ignore:
            body = pattern.sub(b"", body)
        return hashlib.sha256(body).hexdigest()

    def _list(self, task: Task, response: Response) -> Outcome | None:
        """Return what a sitemap or a feed names; None if the response is neither.

        A seed may be one, whatever its MIME type; deeper in the crawl, a feed is what a page's rel=alternate links to.
        """
        body, mime, page = response.body, response.mime, response.mime in HTML
        if is_feed(body, page=page):
            entries = parse_feed(body, response.url)
            detail, said_of = f"a feed of {_counted(len(entries), 'URL')}", list(said_in_feed(body, response.url))
            return Outcome("list", 200, mime, detail, links=list(entries), said_of=said_of)
        plain = task.depth == 0 and mime == "text/plain" and is_url_list(body)
        if not (task.kind == "list" or plain or is_sitemap(body, page=page)):
            return None
        found = parse_sitemap(body, base=response.url)
        entries = found.entries
        detail = f"a list of {_counted(len(entries), 'sitemap' if found.is_index else 'URL')}"
        detail += f"; {found.cut}" if found.cut else ""
        if found.is_index:
            return Outcome("list", 200, mime, detail, sitemaps=list(entries))
        return Outcome("list", 200, mime, detail, links=list(entries))

    def _links(
        self, task: Task, mime: str, content_type: str | None, body: bytes, refresh: str | None = None
    ) -> PageLinks:
        if mime not in HTML:
            return PageLinks()
        return links_of(task.url, body, content_type, drop=self._drop, agent=self._agent, refresh=refresh)

    def _directives(self, page: PageLinks, response: Response) -> set[str]:
        said = robots_directives(response.header_values("x-robots-tag"), self._agent)
        for contents in page.robots.values():  # a meta tag's name addresses the crawler, not a colon in its content
            said |= robots_directives(contents, self._agent)
        return said

    def _entries(self, page: PageLinks, directives: set[str]) -> list[Entry]:
        if not self._config.follow_links or NOFOLLOW in directives & self._honour:
            return []
        return [Entry(url) for url in page.urls]

    def _unfollowed(self, page: PageLinks, directives: set[str]) -> list[tuple[str, str, str]]:
        """Return the links that were found but are not followed, and why."""
        left = [(url, "nofollow", "") for url in page.nofollow]
        left += [(url, "same_page", f"the same page as {target}") for url, target in page.respelled.items()]
        if not self._config.follow_links:
            return left + [(url, "not_followed", "") for url in page.urls]
        return left + [(url, "nofollow", "") for url in page.urls if NOFOLLOW in directives & self._honour]

    def _refusal(self, directives: set[str], said: Sequence[Statement]) -> str | None:
        refused = next((each for each in (NOINDEX, NOARCHIVE) if each in directives & self._honour), None)
        return refused or self.may_train(said)

    def _said(
        self,
        page: PageLinks,
        directives: set[str],
        response: Response,
        rules: Rules,
        reserved_before: str | None = None,
    ) -> list[Statement]:
        """Return what a page, its headers and the origin's tdmrep.json say about training."""
        said = said_in_headers(response.header_values("content-signal"), response.header_values("content-usage"))
        if NOAI in directives:
            in_header = NOAI in robots_directives(response.header_values("x-robots-tag"), self._agent)
            said.append(Statement(NOAI, "deny", "header" if in_header else "page", NOAI))
        path = "/" + response.url.split("/", 3)[3]
        header = response.header("tdm-reservation") or reserved_before
        reserved = reservation(page.tdm_reservation, header, rules.tdm, path)
        if reserved is not None:
            is_reserved, where, words = reserved
            said.append(Statement(TDM, "deny" if is_reserved else "allow", where, words))
        return said


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _detail(page: PageLinks, response: Response, scope: Scope) -> str | None:
    """Return the remarks on a kept page: what was odd about its response, and where it redirects by itself."""
    said = [response.detail] if response.detail else []
    if page.refresh is not None and page.refresh != response.url:
        host = host_of(page.refresh)
        said.append(f"goes on to {page.refresh}" + ("" if scope.has_host(host) else f": {scope.way_to(host)}"))
    return "; ".join(said) or None
