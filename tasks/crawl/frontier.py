"""The frontier: which URLs are known, which are done and what they came to, in SQLite, so that a kill loses nothing.

A page and the links it brought are one transaction, together with the length of the WARC file that holds it. On
opening, a WARC file longer than its committed length is cut back: a record counts only once its page is committed.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    url TEXT PRIMARY KEY, host TEXT NOT NULL, depth INTEGER NOT NULL, rank BLOB NOT NULL, hops INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'done')),
    tries INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0, page TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS next_url ON urls (host, depth, rank) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS active_url ON urls (host, depth) WHERE state = 'active';
CREATE TABLE IF NOT EXISTS robots (origin TEXT PRIMARY KEY, status INTEGER, body BLOB, fetched REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, length INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Link:
    """A URL to visit: `depth` links from a seed, reached over `hops` redirects in a row."""

    url: str
    host: str
    depth: int
    hops: int = 0


@dataclass(frozen=True)
class Task:
    """A URL taken from the queue, tried `tries` times before."""

    url: str
    host: str
    depth: int
    hops: int
    tries: int


class Frontier:
    """The crawl's state on disk; not for use by two processes at once (the lake's lock on the key sees to that)."""

    def __init__(self, path: Path, warc_folder: Path) -> None:
        self._warc_folder = warc_folder
        self._db = sqlite3.connect(path, isolation_level=None)
        # WAL + NORMAL: a killed process loses nothing; a power cut may lose the last commits, never tear one
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("UPDATE urls SET state = 'queued' WHERE state = 'active'")
        if self.fact("started") is None:
            self.set_fact("started", repr(time.time()))
        self._cut_back()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def age(self) -> float:
        """Seconds since this crawl was started, over all its resumptions."""
        return time.time() - float(self.fact("started") or 0)

    # -- facts and robots --------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """Return a remembered value."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_fact(self, name: str, value: str) -> None:
        """Remember a value."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def robots(self, origin: str) -> tuple[int, bytes] | None:
        """Return status and text of an origin's robots.txt as fetched in the last 24 hours (RFC 9309 § 2.4)."""
        row = self._db.execute("SELECT status, body, fetched FROM robots WHERE origin = ?", (origin,)).fetchone()
        return (row[0], row[1]) if row and time.time() - row[2] < 86_400 else None

    def set_robots(self, origin: str, status: int, body: bytes) -> None:
        """Remember an origin's robots.txt."""
        self._db.execute("INSERT OR REPLACE INTO robots VALUES (?, ?, ?, ?)", (origin, status, body, time.time()))

    # -- the queue ---------------------------------------------------------------------------------------------------

    def add(self, links: Iterable[Link]) -> list[Link]:
        """Queue the links whose URL is new; return those. A known URL that is still queued gets the smaller depth."""
        new = []
        for link in links:
            # the rank orders the pages of one depth by chance, but always the same: a crawl that is cut off by
            # max_pages sees a sample of the site and not the letter A, and the same sample the next time
            rank = hashlib.sha256(link.url.encode()).digest()[:8]
            added = self._db.execute(
                "INSERT OR IGNORE INTO urls (url, host, depth, rank, hops, state) VALUES (?, ?, ?, ?, ?, 'queued')",
                (link.url, link.host, link.depth, rank, link.hops),
            ).rowcount
            if added:
                new.append(link)
            else:
                self._db.execute(
                    "UPDATE urls SET depth = ? WHERE url = ? AND state = 'queued' AND depth > ?",
                    (link.depth, link.url, link.depth),
                )
        return new

    def hosts(self) -> list[str]:
        """Return the hosts that have queued URLs."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT host FROM urls WHERE state = 'queued'")]

    def take(self, host: str, now: float) -> tuple[Task | None, float | None]:
        """Take the host's next URL, or say when (seconds of the epoch) there may be one.

        Breadth first: a depth begins when the one above it is done, so depths and the pages within `max_pages` do
        not depend on which answer came first. (None, None): nothing until a request under way ends.
        """
        first = self._db.execute(
            "SELECT depth FROM urls WHERE host = ? AND state = 'queued' ORDER BY depth, rank LIMIT 1", (host,)
        ).fetchone()
        if first is None:
            return None, None
        above = self._db.execute(
            "SELECT 1 FROM urls WHERE host = ? AND state = 'active' AND depth < ? LIMIT 1", (host, first[0])
        ).fetchone()
        if above:
            return None, None
        row = self._db.execute(
            "SELECT url, depth, hops, tries FROM urls WHERE host = ? AND state = 'queued' AND depth = ? "
            "AND not_before <= ? ORDER BY rank LIMIT 1",
            (host, first[0], now),
        ).fetchone()
        if row is None:
            later = self._db.execute(
                "SELECT min(not_before) FROM urls WHERE host = ? AND state = 'queued' AND depth = ?", (host, first[0])
            ).fetchone()
            return None, later[0]
        self._db.execute("UPDATE urls SET state = 'active' WHERE url = ?", (row[0],))
        return Task(row[0], host, *row[1:]), None

    def postpone(self, task: Task, not_before: float, *, count: bool = True) -> None:
        """Put a URL back, to be tried from `not_before` (seconds of the epoch) on."""
        self._db.execute(
            "UPDATE urls SET state = 'queued', tries = tries + ?, not_before = ? WHERE url = ?",
            (int(count), not_before, task.url),
        )

    def finish(
        self, url: str, page: dict[str, Any], links: Iterable[Link] = (), warc: tuple[str, int] | None = None
    ) -> list[Link]:
        """Commit what a URL came to, the links it brought, and the length of the WARC file: all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("UPDATE urls SET state = 'done', page = ? WHERE url = ?", (_to_json(page), url))
            new = self.add(links)
            if warc is not None:
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", warc)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return new

    def skip_queued(self, reason: str) -> None:
        """End all URLs that are still queued with one reason; a page limit was reached."""
        rows = self._db.execute("SELECT url, depth FROM urls WHERE state = 'queued'").fetchall()
        self._db.execute("BEGIN IMMEDIATE")
        for url, depth in rows:
            page = _to_json({"reason": reason, "depth": depth, "n_bytes": 0})
            self._db.execute("UPDATE urls SET state = 'done', page = ? WHERE url = ?", (page, url))
        self._db.execute("COMMIT")

    # -- results -----------------------------------------------------------------------------------------------------

    def totals(self) -> tuple[int, int, int, int]:
        """Return (pages kept, their bytes, URLs done, URLs known)."""
        return self._db.execute(
            "SELECT coalesce(sum(kept), 0), coalesce(sum(kept * n_bytes), 0), coalesce(sum(done), 0), count(*) FROM "
            "(SELECT json_extract(page, '$.file') IS NOT NULL AS kept, json_extract(page, '$.n_bytes') AS n_bytes, "
            "state = 'done' AS done FROM urls)"
        ).fetchone()

    def pages(self) -> Iterator[dict[str, Any]]:
        """Yield what each URL came to, by URL."""
        for url, host, page in self._db.execute("SELECT url, host, page FROM urls WHERE state = 'done' ORDER BY url"):
            row = {"url": url, "source": host, **json.loads(page)}
            if row.get("fetched_at"):
                row["fetched_at"] = datetime.datetime.fromisoformat(row["fetched_at"])
            yield row

    def _cut_back(self) -> None:
        """Make the WARC files what the database says they are; queue pages again whose bytes are gone."""
        lengths = dict(self._db.execute("SELECT name, length FROM files").fetchall())
        for path in self._warc_folder.glob("*.warc.gz"):
            if path.name not in lengths:
                path.unlink()
            elif path.stat().st_size > lengths[path.name]:
                os.truncate(path, lengths[path.name])
        for name, length in lengths.items():
            path = self._warc_folder / name
            size = path.stat().st_size if path.exists() else 0
            if size < length:  # only after a power cut or by somebody's hand
                whole = 0
                for url, end in self._db.execute(
                    "SELECT url, json_extract(page, '$.offset') + json_extract(page, '$.length') FROM urls "
                    "WHERE json_extract(page, '$.file') = ?",
                    (f"warc/{name}",),
                ).fetchall():
                    if end > size:
                        self._db.execute("UPDATE urls SET state = 'queued', page = NULL WHERE url = ?", (url,))
                    else:
                        whole = max(whole, end)
                if path.exists():
                    os.truncate(path, whole)
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, whole))


def _to_json(page: dict[str, Any]) -> str:
    return json.dumps({key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in page.items()})
