"""URLs that were found but never queued, each once, with the reason: out of scope, traps, links not to be followed.

Sites link to many more pages than they have, so for each reason only some URLs get a row; the others are only
counted.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tasks.corpus.crawl.urls import host_of

MAX_ROWS = 10_000  # in pages.parquet for one reason; a hash decides which URLs have one
_RECENT = 200_000  # URLs that are remembered in memory, so that links found on every page cause no database lookup
_TABLE = """
CREATE TABLE IF NOT EXISTS refused (
    url TEXT PRIMARY KEY, reason TEXT NOT NULL, depth INTEGER NOT NULL, rank INTEGER NOT NULL, detail TEXT NOT NULL
) WITHOUT ROWID
"""


class Refused:
    """The table `refused` of a frontier's database. What is added is written with the next page that is committed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._recent: dict[str, int] = {}
        self._new: list[tuple[str, str, int, int, str]] = []
        db.execute(_TABLE)

    def knows(self, url: str, depth: int) -> bool:
        """Whether a URL has surely been refused, at this depth or a smaller one; False means it may or may not."""
        return self._recent.get(url, depth + 1) <= depth

    def add(self, url: str, depth: int, reason: str, detail: str) -> None:
        """Note a URL; of several reasons the first counts, and a URL that is visited after all has none."""
        if self.knows(url, depth):
            return
        if len(self._recent) >= _RECENT:
            for old in list(self._recent)[: _RECENT // 4]:
                del self._recent[old]
        self._recent[url] = depth
        rank = int.from_bytes(hashlib.blake2b(url.encode(), digest_size=7).digest())
        self._new.append((url, reason, depth, rank, detail))

    def write(self) -> None:
        """Write what was added, inside the caller's transaction."""
        if self._new:
            self._db.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?)", self._new)
            self._new.clear()

    def rows(self, most: int = MAX_ROWS) -> Iterator[dict[str, Any]]:
        """Yield the first rows of each reason by rank, as pages.parquet holds them."""
        query = """
            SELECT url, reason, depth, detail FROM (
                SELECT *, row_number() OVER (PARTITION BY reason ORDER BY rank, url) AS place
                FROM refused WHERE url NOT IN (SELECT url FROM urls)
            ) WHERE place <= ? ORDER BY reason, place
        """
        for url, reason, depth, detail in self._db.execute(query, (most,)):
            named = {"url": url, "source": host_of(url), "reason": reason, "depth": depth, "detail": detail}
            yield named | {"n_bytes": 0}

    def rest(self, most: int = MAX_ROWS) -> Counter[str]:
        """Return how many URLs of each reason have no row because there were more than `most`."""
        query = "SELECT reason, count(*) FROM refused WHERE url NOT IN (SELECT url FROM urls) GROUP BY reason"
        return Counter({reason: number - most for reason, number in self._db.execute(query) if number > most})
