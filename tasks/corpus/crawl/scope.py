"""What a crawl may visit and keep: hosts or whole sites, patterns, depth, MIME types."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Any

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.traps import is_trap
from tasks.corpus.crawl.urls import host_of


class Scope:
    """The scope rules of a config, compiled."""

    def __init__(self, config: CrawlConfig) -> None:
        hosts = [host.lower() for host in config.all_hosts]
        self._exact = {host for host in hosts if not host.startswith("*.")}
        below = [host[1:] for host in hosts if host.startswith("*.")]
        if config.same_site and not config.hosts:
            below += [f".{site}" for host in hosts if (site := registered_domain(host)) is not None]
        self._below = tuple(sorted(set(below)))
        self._include = [re.compile(pattern) for pattern in config.include]
        self._exclude = [re.compile(pattern) for pattern in config.exclude]
        self._mime = frozenset(mime.lower() for mime in config.mime)
        self._max_depth = config.max_depth
        can_widen = not (config.same_site or config.hosts)
        self._sites = frozenset(filter(None, map(registered_domain, hosts))) if can_widen else frozenset()

    def refusal(self, url: str, depth: int) -> str | None:
        """Return why a canonical URL is not visited; None if it may be."""
        if not self.has_host(host_of(url)):
            return "other_host"
        if depth > self._max_depth:
            return "too_deep"
        if self._include and not any(pattern.search(url) for pattern in self._include):
            return "not_included"
        if any(pattern.search(url) for pattern in self._exclude):
            return "excluded"
        if is_trap(url):
            return "trap"
        return None

    def has_host(self, host: str) -> bool:
        """Return whether the host may be visited at all."""
        return host in self._exact or any(host == below[1:] or host.endswith(below) for below in self._below)

    def way_to(self, host: str) -> str:
        """Return what to write into the recipe so that a host outside the scope is visited."""
        site = registered_domain(host)
        widened = f", or set crawl.same_site, for all of {site}" if site in self._sites else ""
        return f"to go there, name {host} in crawl.hosts{widened}"

    def keeps(self, mime: str) -> bool:
        """Return whether pages of this MIME type are kept."""
        return mime in self._mime


def registered_domain(host: str) -> str | None:
    """Return the registered domain that a host belongs to, according to the public suffix list.

    `docs.example.co.uk` → `example.co.uk`; None for addresses, names without a dot and public suffixes themselves.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _suffixes().privatesuffix(host)
    return None


@functools.cache
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
