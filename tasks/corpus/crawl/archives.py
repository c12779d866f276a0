"""Readers of web archives: WARC and WET with fastwarc, ARC with our own code; damage stays local to a record."""

from __future__ import annotations

import contextlib
import datetime
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tasks.corpus.crawl.decode import BrokenEncoding, TooLarge
from tasks.corpus.crawl.http_answer import MAX_HEADER, WHOLE, body_of, charset_in, mime_of, parse_answer
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.crawl.streams import UnpackedFile, open_unpacked, packing
from tasks.corpus.crawl.warc_headers import reread, shares_member

GIVE_UP = 1000  # consecutive damaged places after which the rest of a file is not read
# Where a record may begin: a WARC line, a gzip member (its flags and OS bytes are small numbers), a zstd frame.
_START = re.compile(
    rb"\nWARC/1\.\d\r?\n|\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00-\x04][\x00-\x0d\xff]|\x28\xb5\x2f\xfd"
)
_KINDS = frozenset({"response", "resource", "conversion", "revisit"})
_PASSED_OVER = frozenset({"request", "metadata", "warcinfo"})
_SEAM = b"\r\n\r\nWARC/1."  # between two records
_NEIGHBOUR = re.compile(rb"\r\n\r\nWARC/1\.\d\r\n(?:WARC-[A-Z]|Content-[LT])")
# URL IP-address Archive-date Content-type [five more in version 2] Archive-length. A URL may contain spaces.
_ARC_LINE = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*:\S.*?) ([0-9A-Fa-f.:-]+) (\d{8,20}) (\S+)(?: \S+ \S+ \S+ \d+ \S+)? (-?\w+)\r?\n"
)


def read_warc(path: Path, mimes: frozenset[str], limit: int, record_limit: int) -> Iterator[Record]:
    """Yield the response, resource and conversion records of a WARC or WET file, and revisits as refused records.

    Request, metadata (WAT) and warcinfo records contain no document and are skipped. Broken records and records of
    unknown type are yielded with a problem. After a broken record, reading continues at the next readable one. After a
    record whose declared length is too large, it continues at the record that this length would have swallowed; if the
    file is compressed with one member per record, at the next member.
    limit, record_limit: maximum decompressed size, in bytes, of all records together and of one record.
    """
    with contextlib.ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(open(path, "rb"))
        packed = packing(file.read(6))
        problem = None
        file.seek(0)
        # fastwarc reads gzip, zstd and lz4; it cannot tell the offsets of records that share a gzip member
        if packed in ("bz2", "xz") or (packed == "gzip" and shares_member(file)):
            file = stack.enter_context(tempfile.TemporaryFile())
            with open_unpacked(path, limit) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
                problem = stream.problem
        last = None
        for last in _records(file, mimes, limit, record_limit):
            yield last
        if problem and (last is None or last.problem not in ("broken_record", "truncated_record")):  # which report it
            yield Record(problem=problem[0], detail=problem[1])


def _records(file: IO[bytes], mimes: frozenset[str], limit: int, record_limit: int) -> Iterator[Record]:
    """Yield the records of a file; after a failure, start again at the next place that looks like a record."""
    left, failures, unexplained = limit, 0, None
    start: int | None = 0
    while start is not None:
        file.seek(start)
        position, length, record, nothing = start, 0, None, True
        try:
            for place, declared, block, overruns, found in _blocks(file, start, record_limit):
                position, length, nothing = place, declared, False
                if unexplained:
                    yield unexplained
                left -= len(block)
                if left < 0:
                    yield _too_large(limit)
                    return
                unexplained, record = None, _warc_record(found, place, declared, block, mimes, record_limit)
                if record is not None:
                    yield record
                if overruns:
                    raise _Overrun("the record says that it is longer than it is")
                failures = 0
            start = None
            if not nothing and (end := _unread(file, position, length)) is not None:
                detail = f"after byte {end:,}: the file ends in a header"
                unexplained = Record(problem="broken_record", detail=detail)
        except BaseException as error:
            # fastwarc is written in Rust, and Rust panics arrive as their own subclass of BaseException
            if not isinstance(error, OSError | ValueError | RuntimeError) and type(error).__name__ != "PanicException":
                raise
            if nothing and (again := reread(file, position, record_limit + MAX_HEADER + 1)) is not None:
                left -= len(again.block)
                if left < 0:
                    yield _too_large(limit)
                    return
                over = _overrun(again.block, again.declared, again.record)
                block = again.block if over is None else again.block[:over]
                record = _warc_record(again.record, again.begin, again.declared, block, mimes, record_limit)
                if record is not None:
                    yield record
                start = _next_line(file, again.end) if over is None else _next_start(file, again.begin + 1)
                unexplained = None
                continue
            broken = Record(problem="broken_record", detail=f"after byte {position:,}: {error}"[:200])
            start = _next_start(file, position + 1)
            if nothing:  # no record at all was read from `start`
                yield broken
                failures, unexplained = failures + 1, None
            elif isinstance(error, _Overrun):
                failures, unexplained = failures + 1, None if start is not None else broken
            elif record is None or record.problem not in ("broken_record", "truncated_record"):
                unexplained = broken  # yielded if the next record is fine: then there is garbage in between
            if failures >= GIVE_UP:
                yield Record(
                    problem="broken_file", detail=f"{failures:,} broken records in a row; the rest is not read"
                )
                return
    if unexplained:
        yield unexplained


def _unread(file: IO[bytes], position: int, declared: int) -> int | None:
    """Return where the last record ends if anything follows it; None if nothing does or it cannot be determined.

    Needed because fastwarc treats a header that is cut off by the end of the file as the end of the file.
    """
    file.seek(position)
    packed = packing(file.read(6))
    file.seek(position)
    if packed == "gzip":
        member, left = zlib.decompressobj(31), declared + MAX_HEADER
        while not member.eof:
            piece = member.unconsumed_tail or file.read(1 << 16)
            if not piece or left < 0:  # it ends here, or is larger than this record: maybe a bomb
                return None
            try:
                left -= len(member.decompress(piece, 1 << 20))
            except zlib.error:
                return None
        end = file.tell() - len(member.unused_data)
    elif packed is None and (header := file.read(MAX_HEADER).find(b"\r\n\r\n")) >= 0:
        end = position + header + 4 + declared
    else:
        return None
    file.seek(end)
    while piece := file.read(1 << 20):
        if piece.strip(b"\0\r\n\t "):
            return end
    return None


def _too_large(limit: int) -> Record:
    detail = f"more than {limit:,} bytes; the rest is not read (crawl.max_file_megabytes)"
    return Record(problem="file_too_large", detail=detail)


def _next_line(file: IO[bytes], place: int) -> int | None:
    """Return the offset of the first data after the blank lines at `place`; None if nothing follows them."""
    file.seek(place)
    while piece := file.read(4096):
        if rest := piece.lstrip(b"\0\r\n\t "):
            return file.tell() - len(rest)
    return None


class _Overrun(ValueError):
    """A record's declared length reaches into the next record, which must be read separately."""


def _blocks(file: IO[bytes], start: int, record_limit: int) -> Iterator[tuple[int, int, bytes, bool, Any]]:
    """Yield (offset in the file, declared bytes, block, whether it overruns, record) for each record from `start` on.

    The HTTP part is parsed later, from the whole block, and not by fastwarc from the file. This way a truncated block
    is noticed, and a broken encoding does not cost the rest of the file. It makes reading 8 % slower.
    """
    from fastwarc.warc import ArchiveIterator

    for record in ArchiveIterator(file, parse_http=False):
        declared = record.content_length
        if not declared and (record.headers.get("Content-Length") or "").strip() != "0":
            raise ValueError("the header has no length")  # or none that fastwarc understands
        block = record.reader.read(record_limit + MAX_HEADER + 1)
        end = _overrun(block, declared, record)
        overruns = end is not None or (len(block) < declared and _overruns_later(block, record))
        yield start + int(record.stream_pos), declared, block if end is None else block[:end], overruns, record


def _overrun(block: bytes, declared: int, record: Any) -> int | None:
    """Return where in the block the record ends and the next one begins; None if the whole block belongs to it.

    A page may itself contain a record (a page about archives, a downloaded archive). So the whole block belongs to the
    record if its digest matches, or if the HTTP response in it is declared to extend beyond that place.
    """
    # Most pages have no \r after the header. Searching for one byte runs at 20 GB/s, searching for `_SEAM` at 3 GB/s.
    header = block.find(b"\r\n\r\n")
    if header < 0 or block.find(b"\r", header + 4) < 0 or (at := block.find(_SEAM, header)) < 0:
        return None
    if (found := _NEIGHBOUR.search(block, at)) is None:
        return None
    if len(block) == declared and record.headers.get("WARC-Block-Digest"):
        copy = _answer()
        copy.headers["WARC-Block-Digest"] = record.headers["WARC-Block-Digest"]
        copy.set_bytes_content(block)
        if copy.verify_block_digest():
            return None
    end = _end_of_answer(block)
    return None if end is not None and end > found.end() else found.start()


def _overruns_later(block: bytes, record: Any) -> bool:
    """Whether another record begins in the unread rest of a record too long to keep; reads one megabyte at a time."""
    end = _end_of_answer(block)
    if end is not None and end > len(block):  # the HTTP response confirms the length
        return False
    window = block[-64:]
    while piece := record.reader.read(1 << 20):
        window = window[-64:] + piece
        if _NEIGHBOUR.search(window):
            return True
    return False


def _warc_record(
    record: Any, place: int, declared: int, block: bytes, mimes: frozenset[str], record_limit: int
) -> Record | None:
    """Return a record's document, or what is wrong with it; None for a complete record of a type without documents."""
    kind = str(record.record_type)
    if kind not in _KINDS and kind not in _PASSED_OVER:  # fastwarc misses folded and lower-case WARC-Type headers
        kind = (record.headers.get("WARC-Type") or "").strip().lower()
    cut = len(block) < declared and len(block) <= record_limit + MAX_HEADER
    if kind in _PASSED_OVER and not cut:
        return None
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ") or None
    try:
        fetched_at = record.record_date
    except ValueError:
        fetched_at = None
    if cut and not (kind in _KINDS and _is_whole_answer(block)):
        detail = f"the {kind} record at byte {place:,} says {declared:,} bytes and has {len(block):,}"
        return Record(problem="truncated_record", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    if kind == "continuation" or (record.headers.get("WARC-Segment-Number") or "").strip() == "1":
        detail = f"the record at byte {place:,} is a segment of a longer one; segments are not put together"
        return Record(problem="segmented_record", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    if kind not in _KINDS:
        named = f"the type {kind[:40]!r}, which WARC does not know" if kind else "no type"
        detail = f"the record at byte {place:,} has {named}"
        return Record(problem="record_type", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    if kind == "revisit":
        return Record(problem="revisit", url=url, fetched_at=fetched_at)
    identity = (record.headers.get("WARC-Record-ID") or "").strip("<>")
    if record.is_http:
        return _http_record(block, url, identity, fetched_at, mimes, record_limit)
    content_type = record.headers.get("Content-Type")
    if kind == "response" and (_is_http(content_type or "") or parse_answer(block)):
        return _http_record(block, url, identity, fetched_at, mimes, record_limit)
    charset = charset_in(content_type) or ("utf-8" if kind == "conversion" else None)  # WET is UTF-8
    return _kept(block, mime_of(content_type), identity, url, charset, fetched_at, mimes, record_limit)


def _is_http(content_type: str) -> bool:
    return content_type.strip().lower().startswith("application/http")


def _http_record(
    block: bytes,
    url: str | None,
    identity: str,
    fetched_at: datetime.datetime | None,
    mimes: frozenset[str],
    record_limit: int,
) -> Record:
    """Return the page in an HTTP response, with chunking and compression undone if the body really has them."""
    answer = parse_answer(block)
    if answer is None:
        detail = "it has no HTTP response"
        return Record(problem="broken_record", detail=detail, url=url, fetched_at=fetched_at, n_bytes=len(block))
    about: dict[str, Any] = {"mime": answer.mime, "url": url, "fetched_at": fetched_at}
    try:
        content = body_of(block, answer, record_limit)
    except TooLarge:
        content = bytes(record_limit + 1)
    except BrokenEncoding as error:
        size = len(block) - answer.begin
        if answer.status in WHOLE:
            return Record(problem="broken_encoding", detail=str(error)[:200], n_bytes=size, **about)
        content = block[answer.begin :]
    if answer.status not in WHOLE:
        return Record(problem=f"http_{answer.status}", n_bytes=len(content), **about)
    kept = _kept(content, answer.mime, identity, url, answer.charset, fetched_at, mimes, record_limit)
    return kept._replace(headers=answer.rights_headers) if answer.rights_headers else kept


def _is_whole_answer(block: bytes) -> bool:
    """Whether an HTTP response has its Content-Length, whatever the record says: archives miscount line ends."""
    end = _end_of_answer(block)
    return end is not None and len(block) >= end


def _end_of_answer(block: bytes) -> int | None:
    """Return where in the block an HTTP response ends according to its Content-Length; None if it has none."""
    answer = parse_answer(block)
    return None if answer is None or answer.length is None else answer.begin + answer.length


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


def _next_start(file: IO[bytes], start: int) -> int | None:
    """Return the next offset, at or after `start`, where a record or compressed member may begin; None at the end."""
    file.seek(start)
    tail = b""
    while block := file.read(1 << 20):
        window = tail + block
        if found := _START.search(window):
            return file.tell() - len(window) + found.start() + found[0].startswith(b"\n")
        tail = window[-16:]
    return None


def read_arc(stream: UnpackedFile, mimes: frozenset[str], record_limit: int) -> Iterator[Record]:
    """Yield the records of an ARC file, version 1 or 2 (the Internet Archive's format before WARC, 1996 to 2009).

    Each record is a header line that gives a length, followed by that many bytes. If this does not hold, reading
    continues at the next line that can be a record's header.
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
            lost = True  # what follows belongs to this record
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
        elif parse_answer(block) is not None:
            yield _http_record(block, url, "", fetched_at, mimes, record_limit)
        else:
            mime = head[4].decode("ascii", "replace").lower()
            yield _kept(block, mime, "", url, None, fetched_at, mimes, record_limit)


def _answer() -> Any:
    """Return an empty WARC record, whose digest check is then used on the block of another record."""
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
