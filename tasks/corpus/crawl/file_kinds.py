"""Detection of the kind of a source file, by its suffix or else by its first bytes."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

from tasks.corpus.crawl.streams import SUFFIXES as PACKED
from tasks.corpus.crawl.streams import packing

PLAIN = {".txt": "text/plain", ".text": "text/plain", ".md": "text/markdown", ".markdown": "text/markdown"}
PLAIN |= {".rst": "text/plain"}
HTML = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml"}
ROWS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
ARCHIVES = (".warc", ".wet", ".wat", ".arc")
KINDS = frozenset(PLAIN) | frozenset(HTML) | frozenset(ROWS) | frozenset(ARCHIVES)
_HTML_START = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype\s+)?html\b", re.I)


def kind_of_name(name: str) -> str:
    """Return the suffix that says how to read a file of this name, in lower case; .gz and the like are skipped."""
    stem, suffix = os.path.splitext(name)
    suffix = suffix.lower()
    return os.path.splitext(stem)[1].lower() if suffix in PACKED else suffix


def kind_of(path: str | Path) -> str | None:
    """Return the kind of a file (one of KINDS) by its name or else by its first bytes; None if neither tells."""
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
