"""Sources that are files: found, identified by content, and read record by record, broken ones included."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tasks.crawl.config import CrawlConfig, FieldNames

_PLAIN = {".txt": "text/plain", ".text": "text/plain", ".md": "text/markdown", ".rst": "text/plain"}
_HTML = {".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml"}
_ROWS = {".jsonl", ".ndjson", ".parquet", ".warc", ".wet"}
SUFFIXES = frozenset(_PLAIN) | frozenset(_HTML) | _ROWS
_MAGIC = re.compile(rb"(?:\r\n\r\n|\A)WARC/1\.\d\r\n|\x1f\x8b\x08")


@dataclass(frozen=True)
class SourceFile:
    """A file, and the name it has in documents: from the fixed part of its pattern on, so no machine's path."""

    path: Path
    name: str

    @property
    def kind(self) -> str:
        """The suffix that says how to read it, lower case, without .gz."""
        name = self.path.name.lower().removesuffix(".gz")
        return os.path.splitext(name)[1]


@dataclass(frozen=True)
class Record:
    """One record of a file, or, with a `problem`, one that is not there and why. Fields as in schemas.RECORDS."""

    content: bytes = b""
    mime: str = "text/plain"
    record_id: str = ""
    url: str | None = None
    title: str | None = None
    charset: str | None = None
    fetched_at: Any = None
    problem: str | None = None
    detail: str | None = None
    n_bytes: int = 0


def find_files(patterns: tuple[str, ...]) -> list[SourceFile]:
    """Return the files that the patterns match, by name, each once; folders stand for all readable files below them.

    Raises FileNotFoundError for a pattern that matches nothing.
    """
    found: dict[Path, SourceFile] = {}
    names: set[str] = set()
    for pattern in patterns:
        expanded = os.path.expanduser(pattern)
        if os.path.isdir(expanded):
            expanded = os.path.join(expanded, "**", "*")
        paths = sorted(Path(path) for path in glob.glob(expanded, recursive=True) if os.path.isfile(path))
        if "**" in expanded or os.path.isdir(pattern):
            paths = [path for path in paths if SourceFile(path, "").kind in SUFFIXES]
        if not paths:
            raise FileNotFoundError(f"crawl.paths: {pattern!r} matches no file that can be read.")
        fixed = re.split(r"[*?\[]", expanded, maxsplit=1)[0]
        root = Path(fixed if fixed.endswith(os.sep) else os.path.dirname(fixed))
        for path in paths:
            if path.resolve() in found:
                continue
            name = base = path.relative_to(root).as_posix()
            copies = 1
            while name in names:  # two patterns with the same file name below them
                copies += 1
                name = f"{base}~{copies}"
            names.add(name)
            found[path.resolve()] = SourceFile(path, name)
    return sorted(found.values(), key=lambda file: file.name)


def fingerprint_files(patterns: tuple[str, ...]) -> str:
    """Return sha256 (hex) over (name, size, sha256) of all files: it follows their content and not their dates."""
    whole = hashlib.sha256()
    for file in find_files(patterns):
        with open(file.path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.name}\0{file.path.stat().st_size}\0{digest}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def read_file(file: SourceFile, config: CrawlConfig) -> Iterator[Record]:
    """Yield the records of a file. What cannot be read is a record with a problem; the rest of the file goes on."""
    limit, record_limit = int(config.max_file_megabytes * 1e6), int(config.max_page_megabytes * 1e6)
    try:
        if file.kind == ".parquet":
            yield from _read_parquet(file.path, config.fields, record_limit)
            return
        with _open(file.path, limit, keep_gzip=file.kind in (".warc", ".wet")) as stream:
            if file.kind in (".jsonl", ".ndjson"):
                yield from _read_jsonl(stream, config.fields, record_limit)
            elif file.kind in (".warc", ".wet"):
                yield from _read_warc(file.path, frozenset(config.mime), limit, record_limit)
            else:
                yield from _read_single(stream, file, record_limit)
    except FileTooLarge as error:
        yield Record(problem="file_too_large", detail=str(error))
    except (OSError, EOFError, zlib.error) as error:  # gzip raises each of them
        yield Record(problem="broken_file", detail=f"{type(error).__name__}: {error}")


class FileTooLarge(Exception):
    """A source file is longer than max_file_megabytes once decompressed."""


class _Limited(io.RawIOBase):
    """A stream that fails when more than `limit` bytes are read from it."""

    def __init__(self, inner: IO[bytes], limit: int) -> None:
        self._inner, self._left, self._limit = inner, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise FileTooLarge(f"more than {self._limit:,} bytes; the rest is not read (crawl.max_file_megabytes)")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def _open(path: Path, limit: int, *, keep_gzip: bool = False) -> IO[bytes]:
    raw: Any = open(path, "rb")  # noqa: SIM115 (closed with the stream that wraps it)
    packed = raw.read(2) == b"\x1f\x8b" and not keep_gzip
    raw.seek(0)
    if packed:
        raw = gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(_Limited(raw, limit), 1 << 20)  # type: ignore[return-value]


def _read_single(stream: IO[bytes], file: SourceFile, record_limit: int) -> Iterator[Record]:
    mime = _PLAIN.get(file.kind) or _HTML.get(file.kind)
    if mime is None:
        known = ", ".join(sorted(SUFFIXES))
        yield Record(problem="unknown_suffix", detail=f"{file.kind or 'no suffix'} is none of {known} (or with .gz)")
        return
    content = stream.read(record_limit + 1)
    if len(content) > record_limit:
        yield Record(problem="too_large", detail=f"more than {record_limit:,} bytes (crawl.max_page_megabytes)")
    else:
        title = None if mime in _HTML.values() else file.path.stem
        yield Record(content, mime, record_id=file.name, title=title, n_bytes=len(content))


def _read_jsonl(stream: IO[bytes], fields: FieldNames, record_limit: int) -> Iterator[Record]:
    line_limit = 6 * record_limit + 65_536  # JSON may write a character as \uXXXX
    while line := stream.readline(line_limit):
        if len(line) == line_limit and not line.endswith(b"\n"):
            size = len(line)
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                size += len(rest)
            yield Record(problem="too_large", detail=f"a line of {size + len(rest):,} bytes", n_bytes=size + len(rest))
        elif line.strip():
            try:
                yield _record_of(json.loads(line.decode("utf-8-sig")), fields, record_limit)
            except (ValueError, RecursionError) as error:
                yield Record(
                    problem="broken_record", detail=f"{type(error).__name__}: {error}"[:200], n_bytes=len(line)
                )


def _read_parquet(path: Path, fields: FieldNames, record_limit: int) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        yield Record(problem="broken_file", detail=str(error)[:200])
        return
    with file:
        wanted = {getattr(fields, name) for name in ("text", "id", "url", "title", "date")}
        columns = [name for name in file.schema_arrow.names if name in wanted]
        if fields.text not in columns:
            have = ", ".join(file.schema_arrow.names[:20])
            yield Record(problem="no_text_column", detail=f"no column {fields.text!r} among {have} (crawl.fields.text)")
            return
        for group in range(file.num_row_groups):
            read = 0
            try:
                for batch in file.iter_batches(256, row_groups=[group], columns=columns):
                    for row in batch.to_pylist():
                        read += 1
                        yield _record_of(row, fields, record_limit)
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                for _ in range(file.metadata.row_group(group).num_rows - read):
                    yield Record(problem="broken_record", detail=f"row group {group}: {error}"[:200])


def _record_of(row: Any, fields: FieldNames, record_limit: int) -> Record:
    text = row.get(fields.text) if isinstance(row, dict) else None
    if isinstance(text, bytes):
        content = text
    elif isinstance(text, str):
        content = text.encode("utf-8", "replace")
    else:
        return Record(problem="no_text", detail=f"no string in {fields.text!r} (crawl.fields.text)")
    if len(content) > record_limit:
        return Record(problem="too_large", detail=f"{len(content):,} bytes", n_bytes=len(content))

    def string(name: str) -> str | None:
        value = row.get(name)
        return None if value is None or value == "" else str(value)

    return Record(
        content,
        fields.mime,
        record_id=string(fields.id) or "",
        url=string(fields.url),
        title=string(fields.title),
        charset="utf-8" if isinstance(text, str) else None,
        fetched_at=_date(row.get(fields.date)),
        n_bytes=len(content),
    )


def _read_warc(path: Path, mimes: frozenset[str], limit: int, record_limit: int) -> Iterator[Record]:
    """Yield response, resource and conversion records; behind a broken one, go on at the next that can be read."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
    start: int | None = 0
    read_bytes = 0
    with open(path, "rb") as stream:
        while start is not None:
            stream.seek(start)
            at = start
            try:
                for record in ArchiveIterator(stream, record_types=kinds, auto_decode="all"):
                    at = max(at, start + int(record.stream_pos))
                    content = record.reader.read(record_limit + 1)
                    read_bytes += len(content)
                    if read_bytes > limit:
                        raise FileTooLarge(f"more than {limit:,} bytes; the rest is not read")
                    yield _warc_record(record, content, mimes, record_limit)
                return
            except (OSError, ValueError, RuntimeError) as error:
                yield Record(problem="broken_record", detail=f"at byte {at}: {error}"[:200])
                start = _next_record(stream, at + 1)


def _warc_record(record: Any, content: bytes, mimes: frozenset[str], record_limit: int) -> Record:
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ") or None
    status = record.http_headers.status_code if record.http_headers else 200
    mime = (record.http_content_type if record.http_headers else record.headers.get("Content-Type")) or "text/html"
    mime = mime.partition(";")[0].strip().lower()
    about: dict[str, Any] = {"url": url, "mime": mime, "n_bytes": len(content), "fetched_at": record.record_date}
    if status != 200:
        return Record(problem=f"http_{status}", **about)
    if mime not in mimes:
        return Record(problem="mime", **about)
    if len(content) > record_limit:
        return Record(problem="too_large", **about)
    identity = (record.headers.get("WARC-Record-ID") or "").strip("<>")
    return Record(content, record_id=identity, charset=record.http_charset if record.http_headers else None, **about)


def _next_record(stream: IO[bytes], start: int) -> int | None:
    """Return where the next WARC record or gzip member may begin at or after `start`; None at the end."""
    stream.seek(start)
    tail = b""
    while block := stream.read(1 << 20):
        window = tail + block
        if found := _MAGIC.search(window):
            position = stream.tell() - len(window) + found.start()
            return position + (4 if found[0].startswith(b"\r\n\r\n") else 0)
        tail = window[-16:]
    return None


def _date(value: Any) -> Any:
    import datetime

    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return None
