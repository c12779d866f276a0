"""Filters that use the user's lists: bad words in the text, unwanted hosts and URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlsplit

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import UrlListConfig, WordListConfig
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.user_files import lines
from tasks.corpus.clean.word_lists import WordList


class BadWords(Filter):
    """Removes documents with words of the user's lists, as C4 does with one list (Raffel et al. 2020, § 2.2).

    Words match as whole words in any script (data_lake.text.units). textmill includes no list: such lists also remove
    texts by and about minorities (Dodge et al. 2021, arXiv:2104.08758), so the user decides which one is right.
    """

    name: ClassVar[str] = "bad_words"
    config: WordListConfig

    def __init__(self, config: WordListConfig) -> None:
        super().__init__(config)
        self._list = WordList([*config.words, *lines(config.files, "clean.filters.bad_words.files")])

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check how often words of the list occur."""
        if self._list:
            count, entry = self._list.find(page.text)
            if count >= self.config.min_count:
                yield Removal(self.name, float(count), float(self.config.min_count), entry)


class UrlList(Filter):
    """Unwanted hosts and URLs, as RefinedWeb (Penedo et al. 2023, arXiv:2306.01116, § G.1) does with UT1's lists.

    UT1's list files (`domains`, `urls`) can be used unchanged.
    """

    name: ClassVar[str] = "url_list"
    config: UrlListConfig

    def __init__(self, config: UrlListConfig) -> None:
        super().__init__(config)
        self._hosts: set[str] = set()
        self._prefixes: set[str] = set()
        for entry in [*config.hosts, *lines(config.files, "clean.filters.url_list.files")]:
            host, path = _split(entry if "://" in entry else f"http://{entry}")
            if path:
                self._prefixes.add(f"{host}/{path}")
            elif host:
                self._hosts.add(host)
        self._patterns = [re.compile(pattern) for pattern in config.patterns]

    def violations(self, page: Analysis) -> Iterator[Removal]:
        """Check the URL against hosts, listed URLs that contain it, and patterns."""
        if not page.url:
            return
        host, path = _split(page.url)
        labels = host.split(".")
        for i in range(len(labels)):
            if (parent := ".".join(labels[i:])) in self._hosts:
                yield Removal(self.name, 1.0, 0.0, f"host {parent}")
        if self._prefixes:
            parts = path.split("/")
            for i in range(1, len(parts) + 1):
                if (prefix := f"{host}/{'/'.join(parts[:i])}") in self._prefixes:
                    yield Removal(self.name, 1.0, 0.0, f"URL {prefix}")
        for pattern in self._patterns:
            if pattern.search(page.url):
                yield Removal(self.name, 1.0, 0.0, f"pattern {pattern.pattern}")


def _split(url: str) -> tuple[str, str]:
    """Return (host without www., path without leading and trailing slashes); two empty strings if it is not a URL."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return "", ""
    return host.removeprefix("www."), parts.path.strip("/")
