"""The frontier: all known URLs and the outcomes of finished ones, in SQLite, so that a killed crawl loses nothing.

A page, its new links and the length of the WARC file that holds it are committed in one transaction. On opening, a
WARC file longer than its committed length is truncated: a record counts only once its page is committed.
"""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_lake.tables.draws import hash_draw
from tasks.corpus.crawl.queues import Queues
from tasks.corpus.crawl.refused import Refused

ROBOTS_SECONDS = 86_400  # RFC 9309 § 2.4: a robots.txt may be cached for a day

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS urls (
    url TEXT PRIMARY KEY, host TEXT NOT NULL, depth INTEGER NOT NULL, rank INTEGER NOT NULL, hops INTEGER NOT NULL,
    kind TEXT NOT NULL, lastmod REAL, done INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0, page TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS next_url ON urls (host, depth, rank) WHERE done = 0;
CREATE INDEX IF NOT EXISTS next_rank ON urls (depth, rank) WHERE done = 0;
CREATE TABLE IF NOT EXISTS robots (
    origin TEXT PRIMARY KEY, status INTEGER, body BLOB, tdmrep BLOB, fetched REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS licences (url TEXT PRIMARY KEY, problem TEXT, body BLOB, fetched REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS statements (url TEXT NOT NULL, statement TEXT NOT NULL, PRIMARY KEY (url, statement))
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, length INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS patterns (pattern TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS previous (url TEXT PRIMARY KEY, page TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Link:
    """A URL to visit: `depth` links from a seed, reached through `hops` consecutive redirects.

    `kind` is "page", or "list" for a sitemap, of which only the entries are wanted, not the text. `lastmod` is when the
    page last changed according to a sitemap (seconds since the epoch). `rank` orders the URLs of one depth; None: an
    order that is random but always the same. So a crawl that max_pages cuts off gets a random sample of a site, not
    just the pages under A, and gets the same sample the next time.
    """

    url: str
    host: str
    depth: int
    hops: int = 0
    kind: str = "page"
    lastmod: float | None = None
    rank: int | None = None


@dataclass(frozen=True)
class Task(Link):
    """A URL taken from the queue, with `tries` earlier attempts."""

    tries: int = 0


class Frontier:
    """The crawl's state on disk; not for use by two processes at once (the lake's lock on the key prevents that).

    With `breadth_first`, a depth starts only when the one above it is done on all hosts. So neither the depths nor the
    choice of the first n pages depends on the order of the responses.
    """

    def __init__(self, path: Path, warc_folder: Path, *, breadth_first: bool = True) -> None:
        self._warc_folder = warc_folder
        self._db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        # WAL + NORMAL: a killed process loses nothing; a power cut may lose the last commits but never splits one
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA cache_size = -65536")  # 64 MB
        self._db.executescript(_SCHEMA)
        if self.fact("started") is None:
            self.set_fact("started", repr(time.time()))
        self.refused = Refused(self._db)
        self._cut_back()
        self._queues = Queues(self._db, breadth_first=breadth_first)
        self._fresh_robots: dict[str, float] = {}

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def started(self) -> float:
        """When this crawl was first started (seconds since the epoch); a resumption does not change it."""
        return float(self.fact("started") or 0)

    def lists(self, host: str) -> int:
        """Return how many sitemaps of a host are known."""
        row = self._db.execute("SELECT count(*) FROM urls WHERE host = ? AND kind = 'list'", (host,)).fetchone()
        return int(row[0])

    # -- facts, robots and patterns ----------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """Return a remembered value."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_fact(self, name: str, value: str) -> None:
        """Remember a value."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def robots(self, origin: str) -> tuple[int, bytes, bytes] | None:
        """Return status and text of an origin's robots.txt, and its tdmrep.json, if fetched in the last 24 hours."""
        query = "SELECT status, body, tdmrep, fetched FROM robots WHERE origin = ?"
        row = self._db.execute(query, (origin,)).fetchone()
        if row is None or time.time() - row[3] >= ROBOTS_SECONDS:
            return None
        self._fresh_robots[origin] = row[3]
        return row[:3]

    def remembers(self, origin: str) -> bool:
        """Whether this process has already looked up or set this origin's robots.txt, and it is still fresh."""
        return time.time() - self._fresh_robots.get(origin, 0.0) < ROBOTS_SECONDS

    def set_robots(self, origin: str, status: int, body: bytes, tdmrep: bytes = b"") -> None:
        """Remember an origin's robots.txt."""
        now = time.time()
        self._fresh_robots[origin] = now
        self._db.execute("INSERT OR REPLACE INTO robots VALUES (?, ?, ?, ?, ?)", (origin, status, body, tdmrep, now))

    def licence(self, url: str) -> tuple[str | None, bytes] | None:
        """Return (problem or None, text) of a licence, if it was requested in the last 24 hours."""
        row = self._db.execute("SELECT problem, body, fetched FROM licences WHERE url = ?", (url,)).fetchone()
        return None if row is None or time.time() - row[2] >= ROBOTS_SECONDS else (row[0], row[1])

    def set_licence(self, url: str, problem: str | None, body: bytes) -> None:
        """Remember a licence."""
        self._db.execute("INSERT OR REPLACE INTO licences VALUES (?, ?, ?, ?)", (url, problem, body, time.time()))

    def licences(self) -> int:
        """Return how many licences have been requested."""
        return int(self._db.execute("SELECT count(*) FROM licences").fetchone()[0])

    def statements(self, url: str) -> list[dict[str, Any]]:
        """Return what lists (feeds) have said about a page's rights."""
        query = "SELECT statement FROM statements WHERE url = ? ORDER BY statement"
        return [json.loads(statement) for (statement,) in self._db.execute(query, (url,))]

    def add_statements(self, said: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Remember what a list says about the rights of pages."""
        rows = ((url, _to_json(statement)) for url, statement in said)
        self._db.executemany("INSERT OR IGNORE INTO statements VALUES (?, ?)", rows)

    def page(self, url: str) -> dict[str, Any] | None:
        """Return the outcome of a URL, if it is done."""
        row = self._db.execute("SELECT page FROM urls WHERE url = ? AND done = 1", (url,)).fetchone()
        return None if row is None else _from_json(row[0])

    def set_page(self, url: str, page: Mapping[str, Any]) -> None:
        """Change the outcome of a URL that is done."""
        self._db.execute("UPDATE urls SET page = ? WHERE url = ? AND done = 1", (_to_json(page), url))

    def pattern(self, pattern: str) -> dict[str, Any] | None:
        """Return what is known about the pages of a pattern."""
        row = self._db.execute("SELECT state FROM patterns WHERE pattern = ?", (pattern,)).fetchone()
        return None if row is None else json.loads(row[0])

    # -- the crawl that this one refreshes -----------------------------------------------------------------------------

    def set_previous(self, name: str, pages: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Store the pages of an earlier crawl, so that they need not be kept in memory; once for each `name`."""
        if self.fact("previous") == name:
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM previous")
        self._db.executemany("INSERT INTO previous VALUES (?, ?)", ((url, _to_json(page)) for url, page in pages))
        self.set_fact("previous", name)
        self._db.execute("COMMIT")

    def previous(self, url: str) -> dict[str, Any] | None:
        """Return the row of the earlier crawl for a URL, if it has a page."""
        row = self._db.execute("SELECT page FROM previous WHERE url = ?", (url,)).fetchone()
        return None if row is None else _from_json(row[0])

    # -- the queue ---------------------------------------------------------------------------------------------------

    def knows(self, url: str, depth: int) -> bool:
        """Whether a URL is surely known at this depth or less and need not be added; False does not mean it is new."""
        return self._queues.knows(url, depth)

    def add(self, links: Iterable[Link]) -> list[Link]:
        """Queue the links with new URLs and return them. A known URL that is still queued gets the smaller depth."""
        new = []
        for link in links:
            rank = link.rank if link.rank is not None else _rank(link.url)
            added = self._db.execute(
                "INSERT OR IGNORE INTO urls (url, host, depth, rank, hops, kind, lastmod) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (link.url, link.host, link.depth, rank, link.hops, link.kind, link.lastmod),
            ).rowcount
            if added:
                new.append(link)
                self._queues.push(link.host, link.depth, rank, link.url)
            else:
                self._queues.remember(link.url, link.depth)
                row = self._db.execute(
                    "SELECT depth FROM urls WHERE url = ? AND done = 0 AND depth > ?", (link.url, link.depth)
                ).fetchone()
                if row is not None:
                    self._db.execute("UPDATE urls SET depth = ? WHERE url = ?", (link.depth, link.url))
                    self._queues.move(link.host, row[0], link.depth, rank, link.url)
        return new

    def hosts(self) -> list[str]:
        """Return the hosts that have URLs to visit."""
        return self._queues.hosts()

    @property
    def floor(self) -> int | None:
        """The smallest depth, over all hosts, that is not done; None if all are."""
        return self._queues.floor

    def limit(self, room: int) -> None:
        """Allow at most `room` URLs of the floor depth to be taken: the first by rank over all hosts."""
        self._queues.limit(room)

    def extend(self) -> str | None:
        """Allow one more URL, because one within the limit gave no page; return the host of the new one, if any."""
        return self._queues.extend()

    def take(self, host: str, now: float) -> tuple[Task | None, float | None]:
        """Take the host's next URL, or say when (seconds since the epoch) there may be one.

        (None, None): nothing until a running request ends, a link is added or the limit is extended.
        """
        url, later = self._queues.pop(host, now)
        if url is None:
            return None, later
        row = self._db.execute(
            "SELECT url, host, depth, hops, kind, lastmod, rank, tries FROM urls WHERE url = ?", (url,)
        ).fetchone()
        return Task(*row), None

    def postpone(self, task: Task, not_before: float, *, count: bool = True) -> None:
        """Put a URL back, to be retried no earlier than `not_before` (epoch seconds); `count`: count it as a try."""
        self._db.execute(
            "UPDATE urls SET tries = tries + ?, not_before = ? WHERE url = ?", (int(count), not_before, task.url)
        )
        self._queues.postpone(task.host, task.depth, task.url, not_before)

    def finish(
        self,
        task: Task,
        page: Mapping[str, Any],
        links: Iterable[Link] = (),
        warc: tuple[str, int] | None = None,
        pattern: tuple[str, dict[str, Any]] | None = None,
    ) -> list[Link]:
        """Commit the outcome of a URL, its new links and the length of the WARC file in one transaction."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("UPDATE urls SET done = 1, page = ? WHERE url = ?", (_to_json(page), task.url))
            new = self.add(links)
            self.refused.write()
            if warc is not None:
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", warc)
            if pattern is not None:
                self._db.execute("INSERT OR REPLACE INTO patterns VALUES (?, ?)", (pattern[0], json.dumps(pattern[1])))
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._queues.done(task.host, task.depth, task.url)
        return new

    def skip_queued(self, reason: str) -> None:
        """Mark all queued URLs as done with one reason: a limit was reached. The queues are not used afterwards."""
        self._db.execute(
            "UPDATE urls SET done = 1, page = json_object('reason', ?, 'depth', depth, 'n_bytes', 0) WHERE done = 0",
            (reason,),
        )

    # -- results -----------------------------------------------------------------------------------------------------

    def totals(self) -> tuple[int, int, int, int]:
        """Return (pages kept, their bytes, URLs done, URLs known)."""
        return self._db.execute(
            "SELECT coalesce(sum(kept), 0), coalesce(sum(kept * n_bytes), 0), coalesce(sum(done), 0), count(*) FROM "
            "(SELECT json_extract(page, '$.file') IS NOT NULL AS kept, json_extract(page, '$.n_bytes') AS n_bytes, "
            "done FROM urls)"
        ).fetchone()

    def pages(self) -> Iterator[dict[str, Any]]:
        """Yield the outcome of each URL, in the order of the URLs."""
        for url, host, page in self._db.execute("SELECT url, host, page FROM urls WHERE done = 1 ORDER BY url"):
            yield {"url": url, "source": host, **_from_json(page)}

    def _cut_back(self) -> None:
        """Cut the WARC files back to the lengths in the database; queue pages again if their bytes are lost."""
        lengths = dict(self._db.execute("SELECT name, length FROM files").fetchall())
        for path in self._warc_folder.glob("*.warc.gz"):
            if path.name not in lengths:
                path.unlink()
            elif path.stat().st_size > lengths[path.name]:
                os.truncate(path, lengths[path.name])
        for name, length in lengths.items():
            path = self._warc_folder / name
            size = path.stat().st_size if path.exists() else 0
            if size < length:  # only after a power cut or a manual change
                whole = 0
                for url, end in self._db.execute(
                    "SELECT url, json_extract(page, '$.offset') + json_extract(page, '$.length') FROM urls "
                    "WHERE json_extract(page, '$.file') = ?",
                    (f"warc/{name}",),
                ).fetchall():
                    if end > size:
                        self._db.execute("UPDATE urls SET done = 0, page = NULL WHERE url = ?", (url,))
                    else:
                        whole = max(whole, end)
                if path.exists():
                    os.truncate(path, whole)
                self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, whole))


def _rank(url: str) -> int:
    return hash_draw(url) >> 8  # SQLite's integers are signed


def _to_json(page: Mapping[str, Any]) -> str:
    return json.dumps(dict(page), default=lambda value: value.isoformat(), sort_keys=True)


def _from_json(text: str) -> dict[str, Any]:
    page = json.loads(text)
    if page.get("fetched_at"):
        page["fetched_at"] = datetime.datetime.fromisoformat(page["fetched_at"])
    for statement in (page.get("rights") or {}).get("said", ()):
        statement["at"] = datetime.datetime.fromisoformat(statement["at"])
    return page
