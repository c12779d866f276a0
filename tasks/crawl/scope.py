"""What a crawl may visit and keep: hosts, patterns, depth, MIME types."""

from __future__ import annotations

import re

from tasks.crawl.config import CrawlConfig
from tasks.crawl.urls import host_of, is_trap


class Scope:
    """The scope rules of a config, compiled."""

    def __init__(self, config: CrawlConfig) -> None:
        self._exact = {host.lower() for host in config.all_hosts if not host.startswith("*.")}
        self._below = tuple(host[1:].lower() for host in config.all_hosts if host.startswith("*."))
        self._include = [re.compile(pattern) for pattern in config.include]
        self._exclude = [re.compile(pattern) for pattern in config.exclude]
        self._mime = frozenset(mime.lower() for mime in config.mime)
        self._max_depth = config.max_depth

    def refusal(self, url: str, depth: int) -> str | None:
        """Return why a canonical URL is not visited, or None where it may be."""
        host = host_of(url)
        if host not in self._exact and not any(host == below[1:] or host.endswith(below) for below in self._below):
            return "other_host"
        if depth > self._max_depth:
            return "too_deep"
        if is_trap(url):
            return "trap"
        if self._include and not any(pattern.search(url) for pattern in self._include):
            return "not_included"
        if any(pattern.search(url) for pattern in self._exclude):
            return "excluded"
        return None

    def keeps(self, mime: str) -> bool:
        """Return whether pages of this MIME type are kept."""
        return mime in self._mime
