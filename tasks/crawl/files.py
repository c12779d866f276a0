"""Source files, told apart by suffix or content, read record by record, broken ones included."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from tasks.crawl.archives import read_arc, read_warc
from tasks.crawl.config import CrawlConfig
from tasks.crawl.rows import RowReader
from tasks.crawl.source_record import Record
from tasks.crawl.streams import SUFFIXES as PACKED
from tasks.crawl.streams import UnpackedFile, open_unpacked, packing

PLAIN = {".txt": "text/plain", ".text": "text/plain", ".md": "text/markdown", ".markdown": "text/markdown"}
PLAIN |= {".rst": "text/plain"}
HTML = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml"}
ROWS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
ARCHIVES = (".warc", ".wet", ".wat", ".arc")
KINDS = frozenset(PLAIN) | frozenset(HTML) | frozenset(ROWS) | frozenset(ARCHIVES)
_HTML_START = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+)?html\b", re.I)


def kind_of_name(name: str) -> str:
    """Return the suffix that says how to read a file of this name, lower case, without .gz and the like."""
    stem, suffix = os.path.splitext(name)
    suffix = suffix.lower()
    return os.path.splitext(stem)[1].lower() if suffix in PACKED else suffix


def _unpacked_name(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in PACKED else name


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a file (one of KINDS) by its name or else by its first bytes; None where neither tells."""
    named = kind_of_name(str(path))
    if named in KINDS:
        return named
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
    except OSError:
        return None
    if packing(head) == "gzip":
        try:
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 1024)
        except zlib.error:
            return None
    for start, kind in ((b"WARC/1.", ".warc"), (b"filedesc://", ".arc"), (b"PAR1", ".parquet")):
        if head.startswith(start):
            return kind
    return ".html" if _HTML_START.match(head) else None


def read_file(path: Path, name: str, config: CrawlConfig) -> Iterator[Record]:
    """Yield the records of a file. What cannot be read is a record with a problem; the rest of the file goes on.

    Every file yields at least one record: one with nothing in it says so. `name` is the file's name in documents.
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
            yield Record(problem="no_records", detail="it holds no document")
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
    """A file that is one document. One that breaks off is none: half a page would pass for a whole one."""
    content = stream.read(record_limit + 1)
    if len(content) > record_limit:
        yield Record(problem="too_large", detail=f"more than {record_limit:,} bytes (crawl.max_page_megabytes)")
    elif stream.problem:
        yield Record(problem=stream.problem[0], detail=stream.problem[1], n_bytes=len(content))
    elif content:
        title = None if mime in HTML.values() else Path(_unpacked_name(Path(name).name)).stem
        yield Record(content, mime, record_id=name, title=title, n_bytes=len(content))
