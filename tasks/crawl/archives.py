"""Web archives: WARC and WET records by fastwarc, ARC records by hand; damage costs the damaged records."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.crawl.source_record import Record
from tasks.crawl.streams import UnpackedFile, open_unpacked, packing

MAX_HEADER = 65_536  # bytes; of one HTTP or ARC header
GIVE_UP = 1000  # damaged places in a row, after which a file is no archive at all
# Where a record may begin: a WARC line behind an empty one, a gzip member (its flags and its system are small numbers),
# a zstd frame.
_START = re.compile(
    rb"(?:\r\n\r\n|\A)WARC/1\.\d\r\n|\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00-\x04][\x00-\x0d\xff]|\x28\xb5\x2f\xfd"
)
# URL IP-address Archive-date Content-type [five more in version 2] Archive-length. A URL may hold blanks.
_ARC_LINE = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*:\S.*?) ([0-9A-Fa-f.:-]+) (\d{8,20}) (\S+)(?: \S+ \S+ \S+ \d+ \S+)? (-?\w+)\r?\n"
)


def read_warc(path: Path, mimes: frozenset[str], limit: int, record_limit: int) -> Iterator[Record]:
    """Yield the response, resource and conversion records of a WARC or WET file, and revisits as refused ones.

    Requests, metadata (WAT) and warcinfo hold no document and are passed over. Behind a broken record the reading goes
    on at the next that can be read. limit, record_limit: bytes of all records and of one, once unpacked.
    """
    with open(path, "rb") as file:
        packed = packing(file.read(6))
        file.seek(0)
        if packed in ("bz2", "xz"):  # fastwarc knows gzip, zstd and lz4
            with open_unpacked(path, limit) as stream:
                yield from _read_from(stream, 0, mimes, limit, record_limit, seekable=False)
                if stream.problem:
                    yield Record(problem=stream.problem[0], detail=stream.problem[1])
            return
        yield from _read_from(file, 0, mimes, limit, record_limit, seekable=True)


def _read_from(
    stream: IO[bytes], start: int, mimes: frozenset[str], limit: int, record_limit: int, *, seekable: bool
) -> Iterator[Record]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion | WarcRecordType.revisit
    left, broken, skipped = limit, 0, ""
    position: int | None = start
    while position is not None:
        start = position
        if seekable:
            stream.seek(start)
        fresh = True  # nothing has been read since `start`
        try:
            # The HTTP part is parsed from the whole block and not from the stream: so a block that is cut short is
            # seen, and one whose encoding is broken does not take the file with it.
            for record in ArchiveIterator(stream, record_types=kinds, parse_http=False):
                if skipped:
                    yield Record(problem="broken_record", detail=skipped)
                    skipped = ""
                fresh, broken = False, 0
                position = max(position, start + int(record.stream_pos))
                declared = record.content_length
                block = record.reader.read(record_limit + MAX_HEADER + 1)
                left -= len(block)
                if left < 0:
                    yield Record(problem="file_too_large", detail=_too_large(limit))
                    return
                yield _warc_record(record, declared, block, mimes, record_limit)
            if skipped:
                yield Record(problem="broken_record", detail=skipped)
            return
        except (OSError, ValueError, RuntimeError) as error:
            why = f"behind byte {position}: {error}"[:200]
            if fresh:
                broken += 1
                yield Record(problem="broken_record", detail=why)
                skipped = ""
            else:
                skipped = why
            if broken >= GIVE_UP:
                yield Record(problem="broken_file", detail=f"{broken:,} damaged places in a row; the rest is not read")
                return
            position = _next_record(stream, position + 1) if seekable else None
    if skipped:
        yield Record(problem="broken_record", detail=skipped)


def _warc_record(record: Any, declared: int, block: bytes, mimes: frozenset[str], record_limit: int) -> Record:
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ") or None
    try:
        fetched_at = record.record_date
    except ValueError:
        fetched_at = None
    if len(block) < declared and len(block) <= record_limit + MAX_HEADER and not _is_whole_answer(block):
        detail = f"it says {declared:,} bytes and has {len(block):,}"
        return Record(problem="truncated_record", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    kind = str(record.record_type)
    if kind == "revisit":
        return Record(problem="revisit", url=url, fetched_at=fetched_at)
    identity = (record.headers.get("WARC-Record-ID") or "").strip("<>")
    if record.is_http:
        return _http_record(record, block, url, identity, fetched_at, mimes, record_limit)
    content_type = record.headers.get("Content-Type") or "text/html"
    mime = content_type.partition(";")[0].strip().lower()
    found = re.search(r"charset\s*=\s*[\"']?([\w.:-]{2,40})", content_type, re.I)
    charset = found[1] if found else "utf-8" if kind == "conversion" else None  # WET is UTF-8
    return _kept(block, mime, identity, url, charset, fetched_at, mimes, record_limit)


def _http_record(
    record: Any,
    block: bytes,
    url: str | None,
    identity: str,
    fetched_at: datetime.datetime | None,
    mimes: frozenset[str],
    record_limit: int,
) -> Record:
    """The page in an HTTP answer, its chunks and its compression undone where they are what the header says."""
    content: bytes | None = None
    for decoding in ("all", "transfer", "none"):  # archives hold bodies already unpacked under the old header
        try:
            record.set_bytes_content(block)
            record.parse_http(auto_decode=decoding, quirks_mode=True)  # quirks: lines that end without \r
            content = record.reader.read(record_limit + 1)
            break
        except (OSError, ValueError, RuntimeError) as error:
            why = str(error)[:200]
            record.set_bytes_content(b"")  # else the iterator stumbles over the broken reader
            record = _answer()  # a record parses its HTTP part once only
    status = record.http_headers.status_code if content is not None and record.http_headers else None
    if content is None or status is None:
        detail = why if content is None else "it holds no HTTP answer"
        return Record(problem="broken_record", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    mime = (record.http_content_type or "text/html").partition(";")[0].strip().lower()
    if status != 200:
        return Record(problem=f"http_{status}", mime=mime, url=url, fetched_at=fetched_at, n_bytes=len(content))
    if decoding != "all" and packing(content) is not None:
        return Record(
            problem="broken_encoding", detail=why, mime=mime, url=url, fetched_at=fetched_at, n_bytes=len(content)
        )
    return _kept(content, mime, identity, url, record.http_charset, fetched_at, mimes, record_limit)


def _is_whole_answer(block: bytes) -> bool:
    """Whether an HTTP answer is as long as itself says, whatever the record says: archives count line ends wrongly."""
    found = re.match(rb"HTTP/.{0,65536}?\r?\n(?:\r?\n)", block, re.S)
    length = re.search(rb"\nContent-Length:[ \t]*(\d{1,15})\r?\n", found[0], re.I) if found else None
    return found is not None and length is not None and len(block) - found.end() >= int(length[1])


def _kept(
    content: bytes,
    mime: str,
    identity: str,
    url: str | None,
    charset: str | None,
    fetched_at: datetime.datetime | None,
    mimes: frozenset[str],
    record_limit: int,
) -> Record:
    problem = "mime" if mime not in mimes else "too_large" if len(content) > record_limit else None
    if problem:
        return Record(problem=problem, mime=mime, url=url, fetched_at=fetched_at, n_bytes=len(content))
    return Record(content, mime, identity, url, None, charset, fetched_at, n_bytes=len(content))


def _next_record(stream: IO[bytes], start: int) -> int | None:
    """Return where the next record or compressed member may begin at or after `start`; None at the end."""
    stream.seek(start)
    tail = b""
    while block := stream.read(1 << 20):
        window = tail + block
        if found := _START.search(window):
            position = stream.tell() - len(window) + found.start()
            return position + (4 if found[0].startswith(b"\r\n\r\n") else 0)
        tail = window[-16:]
    return None


def read_arc(stream: UnpackedFile, mimes: frozenset[str], record_limit: int) -> Iterator[Record]:
    """Yield the records of an ARC file, version 1 or 2 (the Internet Archive's format before WARC, 1996 to 2009).

    Each record is a line with its length, and so many bytes. Where that does not fit, the next line that can be a
    record's first one is looked for.
    """
    lost = False
    while line := stream.readline(MAX_HEADER):
        if not line.strip():
            continue
        head = _ARC_LINE.fullmatch(line)
        if head is None:
            if not lost:
                yield Record(problem="broken_record", detail=f"no ARC header: {line[:80]!r}", n_bytes=len(line))
            lost = True
            continue
        lost = False
        url = head[1].decode("utf-8", "replace")
        fetched_at = _arc_date(head[3].decode())
        if not head[5].isdigit():
            if not url.startswith("filedesc:"):
                detail = f"its length is {head[5].decode('ascii', 'replace')!r}"
                yield Record(problem="broken_record", detail=detail, url=url, fetched_at=fetched_at)
            lost = True  # what follows belongs to it
            continue
        length = int(head[5])
        block = stream.read(min(length, record_limit + MAX_HEADER))
        rest = length - len(block)
        while rest and (piece := stream.read(min(rest, 1 << 20))):
            rest -= len(piece)
        if url.startswith("filedesc:"):
            continue
        about: dict[str, Any] = {"url": url, "fetched_at": fetched_at, "n_bytes": len(block)}
        if rest and not _is_whole_answer(block):
            detail = f"it says {length:,} bytes and has {length - rest:,}"
            yield Record(problem="truncated_record", detail=detail, **about)
        elif length - rest > len(block):
            yield Record(problem="too_large", detail=f"{length:,} bytes", **about)
        elif block.startswith(b"HTTP/"):
            yield _http_record(_answer(), block, url, "", fetched_at, mimes, record_limit)
        else:
            mime = head[4].decode("ascii", "replace").lower()
            yield _kept(block, mime, "", url, None, fetched_at, mimes, record_limit)


def _answer() -> Any:
    """An empty WARC record for an HTTP answer, so that both formats have their HTTP read by the same code."""
    from fastwarc.warc import WarcRecord

    return WarcRecord.from_bytes(
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: 0\r\n\r\n\r\n\r\n"
    )


def _arc_date(digits: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(digits[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None


def _too_large(limit: int) -> str:
    return f"more than {limit:,} bytes; the rest is not read (crawl.max_file_megabytes)"
