"""The hosts' queues in memory: the next URLs of each host by depth and rank; the rest is in the database."""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

CHUNK = 512  # URLs that are read from the database at once
_ALL = (1 << 62, 0)  # a horizon that includes everything
_RECENT = 200_000  # URLs whose depth is remembered, so that links found on every page cause no database lookup


@dataclass
class _Queue:
    """One host's queue. All its queued URLs up to `horizon`, a (depth, rank), are in `heap`; more are on disk."""

    heap: list[tuple[int, int, str]] = field(default_factory=list)  # may have stale entries: `waiting` is authoritative
    waiting: dict[str, int] = field(default_factory=dict)  # URL → depth of what `heap` holds
    later: list[tuple[float, int, str]] = field(default_factory=list)  # (not before, depth, URL), to be tried again
    horizon: tuple[int, int] = (-1, 0)


class Queues:
    """Queues of all hosts over the table `urls` of a frontier's database.

    URLs in progress are known in memory only: after a kill they are in the queue again.
    """

    def __init__(self, db: sqlite3.Connection, *, breadth_first: bool) -> None:
        self._db, self._breadth_first = db, breadth_first
        self._queues: dict[str, _Queue] = {}
        self._active: set[str] = set()
        self._recent: dict[str, int] = {}
        self._cut: tuple[int, int] | None = None  # (depth, rank): further URLs of this depth are beyond the limit
        open_urls = db.execute("SELECT depth, count(*) FROM urls WHERE done = 0 GROUP BY depth").fetchall()
        self._open = Counter(dict(open_urls))  # URLs that are not done, by depth
        for (host,) in db.execute("SELECT DISTINCT host FROM urls WHERE done = 0").fetchall():
            self._queues[host] = _Queue()

    def hosts(self) -> list[str]:
        """Return the hosts that have URLs in a queue."""
        return [host for host, queue in self._queues.items() if self._head(host, queue) is not None or queue.later]

    @property
    def floor(self) -> int | None:
        """The smallest depth with URLs that are not done; None if there is none."""
        return min(self._open, default=None)

    def knows(self, url: str, depth: int) -> bool:
        """Whether a URL is certainly known, at this depth or a smaller one; False means it may or may not be."""
        return self._recent.get(url, depth + 1) <= depth

    def push(self, host: str, depth: int, rank: int, url: str) -> None:
        """Add a URL that was just written to the database."""
        self._open[depth] += 1
        self.remember(url, depth)
        queue = self._queues.get(host)
        if queue is None:
            queue = self._queues[host] = _Queue(horizon=_ALL)
        self._insert(queue, depth, rank, url)

    def move(self, host: str, old_depth: int, depth: int, rank: int, url: str) -> None:
        """Give a URL that is not done a smaller depth; one in progress keeps its turn."""
        if url in self._active:
            return
        self.remember(url, depth)
        self._open[depth] += 1
        self._close(old_depth)
        queue = self._queues[host]
        if any(entry[2] == url for entry in queue.later):
            queue.later = [(when, depth if name == url else old, name) for when, old, name in queue.later]
        else:
            queue.waiting.pop(url, None)
            self._insert(queue, depth, rank, url)

    def limit(self, room: int) -> None:
        """Let only the first `room` URLs of the floor be taken, by rank over all hosts; call it often, it is cheap."""
        depth = self.floor
        if depth is None or self._open[depth] <= room or (self._cut is not None and self._cut[0] == depth):
            return
        row = self._db.execute(
            "SELECT rank FROM urls WHERE done = 0 AND depth = ? ORDER BY rank LIMIT 1 OFFSET ?",
            (depth, max(0, room - 1)),
        ).fetchone()
        if row is not None:
            self._cut = (depth, row[0])

    def extend(self) -> str | None:
        """One of the first URLs gave no page: let one more be taken; return its host, if there is one."""
        if self._cut is None or self._cut[0] != self.floor:
            return None
        row = self._db.execute(
            "SELECT rank, host FROM urls WHERE done = 0 AND depth = ? AND rank > ? ORDER BY rank LIMIT 1", self._cut
        ).fetchone()
        if row is None:
            return None
        self._cut = (self._cut[0], row[0])
        return row[1]

    def pop(self, host: str, now: float) -> tuple[str | None, float | None]:
        """Take the host's next URL, or return when there may be one; see Frontier.take."""
        queue = self._queues.get(host)
        if queue is None:
            return None, None
        while queue.later and queue.later[0][0] <= now:
            _, depth, url = heapq.heappop(queue.later)
            if self._blocked(depth):  # impossible while this URL sets the floor; a smaller depth was found since
                self.postpone(host, depth, url, now + 1)
                break
            self._active.add(url)
            return url, None
        head = self._head(host, queue)
        if head is None or self._blocked(head[0]) or self._beyond_limit(head):
            return None, queue.later[0][0] if queue.later else None
        heapq.heappop(queue.heap)
        del queue.waiting[head[2]]
        self._active.add(head[2])
        return head[2], None

    def postpone(self, host: str, depth: int, url: str, not_before: float) -> None:
        """Put a URL that was in progress among those to be tried again."""
        self._active.discard(url)
        heapq.heappush(self._queues[host].later, (not_before, depth, url))

    def done(self, host: str, depth: int, url: str) -> None:
        """A URL that was in progress is done."""
        self._active.discard(url)
        self._close(depth)

    def _close(self, depth: int) -> None:
        self._open[depth] -= 1
        if self._open[depth] <= 0:
            del self._open[depth]

    def _blocked(self, depth: int) -> bool:
        return self._breadth_first and bool(self._open) and depth > min(self._open)

    def _beyond_limit(self, head: tuple[int, int, str]) -> bool:
        return self._cut is not None and self._cut[0] == head[0] and head[1] > self._cut[1]

    def remember(self, url: str, depth: int) -> None:
        """Note that a URL is known at this depth or a smaller one."""
        if len(self._recent) >= _RECENT:
            for old in list(self._recent)[: _RECENT // 4]:
                del self._recent[old]
        self._recent[url] = depth

    def _insert(self, queue: _Queue, depth: int, rank: int, url: str) -> None:
        if (depth, rank) > queue.horizon:
            return
        queue.waiting[url] = depth
        heapq.heappush(queue.heap, (depth, rank, url))
        if len(queue.heap) > 8 * CHUNK:  # drop those far back in the queue: they are in the database too
            queue.heap = heapq.nsmallest(CHUNK, queue.heap)
            queue.horizon = queue.heap[-1][:2]
            queue.waiting = {name: queue.waiting[name] for _, _, name in queue.heap if name in queue.waiting}

    def _head(self, host: str, queue: _Queue) -> tuple[int, int, str] | None:
        """Return the host's first URL without taking it; reads more from the database if none is in memory."""
        while True:
            while queue.heap:
                depth, _, url = queue.heap[0]
                if queue.waiting.get(url) == depth:
                    return queue.heap[0]
                heapq.heappop(queue.heap)
            if queue.horizon == _ALL:
                return None
            rows = self._db.execute(
                "SELECT depth, rank, url, not_before FROM urls WHERE done = 0 AND host = ? "
                "AND (depth, rank) > (?, ?) ORDER BY depth, rank LIMIT ?",
                (host, *queue.horizon, CHUNK),
            ).fetchall()
            queue.horizon = rows[-1][:2] if len(rows) == CHUNK else _ALL
            postponed = {entry[2] for entry in queue.later}
            for depth, rank, url, not_before in rows:
                if url in self._active or url in postponed:
                    continue
                if not_before:  # from an earlier run of this crawl: it continues to wait
                    heapq.heappush(queue.later, (not_before, depth, url))
                else:
                    queue.waiting[url] = depth
                    heapq.heappush(queue.heap, (depth, rank, url))
