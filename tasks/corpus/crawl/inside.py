"""Selects the links of a page and the sitemaps of a host that are in scope; notes why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasks.corpus.crawl.frontier import Frontier, Link, Task
from tasks.corpus.crawl.outcome import Outcome
from tasks.corpus.crawl.scope import Scope
from tasks.corpus.crawl.urls import canonical, host_of


def links_inside(task: Task, outcome: Outcome, frontier: Frontier, scope: Scope) -> list[Link]:
    """Return the links of a page that are in scope; note the others in the frontier, with the reason."""
    depth, inside, refused = task.depth + 1, [], frontier.refused
    for entry in outcome.links:
        if frontier.knows(entry.url, depth) or refused.knows(entry.url, depth):
            continue
        if (reason := scope.refusal(entry.url, depth)) is None:
            inside.append(Link(entry.url, host_of(entry.url), depth, lastmod=entry.lastmod))
        else:
            refused.add(entry.url, depth, reason, f"linked from {task.url}")
    for url, reason, detail in outcome.unfollowed:
        if not frontier.knows(url, depth) and not refused.knows(url, depth):
            refused.add(url, depth, scope.refusal(url, depth) or reason, detail or f"linked from {task.url}")
    return inside


def sitemaps_inside(names: Iterable[str], room: int, frontier: Frontier, scope: Scope, host: str) -> Iterator[Link]:
    """Yield the sitemaps of a host that are to be read: at most `room`, and only on hosts that may be visited."""
    for url in dict.fromkeys(url for name in names if (url := canonical(name)) is not None):
        if scope.has_host(host_of(url)) and room > 0:
            room -= 1
            yield Link(url, host_of(url), 0, kind="list")
        else:
            reason = "sitemap_limit" if scope.has_host(host_of(url)) else "other_host"
            frontier.refused.add(url, 0, reason, f"a sitemap of {host}")
