"""Source files of all kinds, read record by record, broken ones included."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tasks.corpus.crawl.archives import read_arc, read_warc
from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.file_kinds import ARCHIVES, HTML, KINDS, PLAIN, kind_of, kind_of_name
from tasks.corpus.crawl.rows import RowReader
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.crawl.streams import SUFFIXES as PACKED
from tasks.corpus.crawl.streams import UnpackedFile, open_unpacked


def read_file(path: Path, name: str, config: CrawlConfig) -> Iterator[Record]:
    """Yield the records of a file. An unreadable part becomes a record with a problem; reading continues after it.

    Every file yields at least one record: for a file without content, a record that says so. `name` is the file's name
    in documents.
    """
    nothing = True
    try:
        if path.stat().st_size == 0:
            yield Record(problem="empty_file")
            return
        for record in _read(path, name, config):
            nothing = False
            yield record
        if nothing:
            yield Record(problem="no_records", detail="it has no document")
    except OSError as error:
        yield Record(problem="unreadable_file", detail=f"{type(error).__name__}: {error.strerror or error}")


def _read(path: Path, name: str, config: CrawlConfig) -> Iterator[Record]:
    limit, record_limit = int(config.max_file_megabytes * 1e6), int(config.max_page_megabytes * 1e6)
    kind, mimes = kind_of(path), frozenset(config.mime)
    rows = RowReader(config.fields, record_limit)
    if kind is None:
        suffix = kind_of_name(path.name) or "no suffix"
        detail = f"{suffix} is none of {', '.join(sorted(KINDS))} and its first bytes do not tell"
        yield Record(problem="unknown_type", detail=detail)
        return
    if kind == ".parquet":
        yield from rows.parquet(path)
        return
    with open_unpacked(path, limit) as stream:
        start = stream.peek(11)
        if kind in ARCHIVES and (start.startswith(b"filedesc://") or (kind == ".arc" and start[:5] != b"WARC/")):
            yield from read_arc(stream, mimes, record_limit)
        elif kind in ARCHIVES:
            yield from read_warc(path, mimes, limit, record_limit)
            return
        elif kind in (".jsonl", ".ndjson"):
            yield from rows.json_lines(stream)
        elif kind == ".json":
            yield from rows.json(stream)
        elif kind in (".csv", ".tsv"):
            yield from rows.csv(stream, kind, config.csv)
        else:
            yield from _single(stream, PLAIN.get(kind) or HTML[kind], path, name, record_limit)
            return
        if stream.problem:
            yield Record(problem=stream.problem[0], detail=stream.problem[1])


def _single(stream: UnpackedFile, mime: str, path: Path, name: str, record_limit: int) -> Iterator[Record]:
    """Yield a file as one document, unless it is cut off: half a page would look like a whole one."""
    content = stream.read(record_limit + 1)
    if len(content) > record_limit:
        yield Record(problem="too_large", detail=f"more than {record_limit:,} bytes (crawl.max_page_megabytes)")
    elif stream.problem:
        yield Record(problem=stream.problem[0], detail=stream.problem[1], n_bytes=len(content))
    elif content:
        title = None if mime in HTML.values() else Path(_unpacked_name(Path(name).name)).stem
        yield Record(content, mime, record_id=name, title=title, n_bytes=len(content))


def _unpacked_name(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in PACKED else name
