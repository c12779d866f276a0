"""What source files say, as one hash: it follows their content and not their dates, and reads each version once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from data_lake.home import Home
from tasks.crawl.sources import SourceFile, find_local

_SETTLED = 2.0  # seconds; a file changed more recently may change again within the same tick of its clock
_PIECE = 1 << 20
# The change time (ctime) is part of the key: unlike the modification time nobody can set it back.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, digest TEXT
) WITHOUT ROWID
"""


def fingerprint_files(paths: Sequence[str], home: Home | None = None) -> str:
    """Return sha256 (hex) over name, size and content of all local files that crawl.paths names.

    A plan asks for this each time, so the hash of a file is remembered in the home and computed again only when the
    file's size, dates or inode differ. Remote files are not looked at: their URLs are in the recipe, and
    crawl.max_age says when they are fetched again. Raises OSError where a file cannot be read.
    """
    whole = hashlib.sha256()
    files = [file for file in find_local(paths) if file.problem is None]
    for file, digest in zip(files, _digests(files, home or Home.from_env()), strict=True):
        whole.update(f"{file.name}\0{file.size}\0{digest}\n".encode())
    return whole.hexdigest()


def _digests(files: list[SourceFile], home: Home) -> list[str]:
    """The content hashes of the files, known ones from the home's cache."""
    now = time.time()
    with _cache(home) as cache, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        known = dict(_known(cache))
        keys = []
        for file in files:
            stat = os.stat(file.place)
            keys.append((os.path.realpath(file.place), (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)))
        missing = [number for number, (path, state) in enumerate(keys) if known.get(path, (None,))[0] != state]
        found = dict(zip(missing, pool.map(lambda number: _hash(Path(files[number].place)), missing), strict=True))
        rows = [
            (keys[number][0], *keys[number][1], digest)
            for number, digest in found.items()
            if now - keys[number][1][2] / 1e9 > _SETTLED
        ]
        if cache is not None and rows:
            with contextlib.suppress(sqlite3.Error):
                cache.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", rows)
        return [found[number] if number in found else known[path][1] for number, (path, _) in enumerate(keys)]


def _known(cache: sqlite3.Connection | None) -> Iterator[tuple[str, tuple[tuple[int, ...], str]]]:
    if cache is not None:
        with contextlib.suppress(sqlite3.Error):
            for path, *state, digest in cache.execute("SELECT * FROM digests"):
                yield path, (tuple(state), digest)


@contextlib.contextmanager
def _cache(home: Home) -> Iterator[sqlite3.Connection | None]:
    """The cache; None where the home cannot be written to, which costs time and nothing else."""
    try:
        home.run.mkdir(parents=True, exist_ok=True)
        cache = sqlite3.connect(home.run / "source-digests.sqlite", timeout=5, isolation_level=None)
        cache.execute(_SCHEMA)
    except (OSError, sqlite3.Error):
        yield None
        return
    try:
        yield cache
    finally:
        cache.close()


def _hash(path: Path) -> str:
    """XXH3 with 128 bits: 14 times as fast as sha256 here, and nobody gains from forging their own sources."""
    import xxhash

    digest = xxhash.xxh3_128()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
