"""WARC 1.1 files: written record by record with known offsets, read back at an offset."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.crawl.fetch import Response

# what the transfer did to the body is undone before storing, so these would be untrue; kept under another name,
# as Common Crawl does
_UNTRUE_HEADERS = {"content-encoding", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Place:
    """Where a response record lies: file inside the artifact, first byte, bytes (of its gzip member)."""

    file: str
    offset: int
    length: int


class WarcWriter:
    """Appends to folder/crawl-00000.warc.gz, ...; opens a new file at `rotate_bytes`. One gzip member per record.

    Nothing is buffered: when a method returns, the bytes are with the operating system, and `position` is what the
    frontier commits.
    """

    def __init__(self, folder: Path, *, rotate_bytes: int, software: str, on_warcinfo: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rotate_bytes = folder, rotate_bytes
        self._info = {"software": software, "format": "WARC File Format 1.1", **on_warcinfo}
        present = sorted(folder.glob("crawl-*.warc.gz"))
        self._number = int(present[-1].name[6:11]) if present else 0
        self._open()

    def _open(self) -> None:
        from warcio.warcwriter import WARCWriter

        self._path = self._folder / f"crawl-{self._number:05d}.warc.gz"
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 (stays open between records)
        self._writer = WARCWriter(_FullWrites(self._file), gzip=True, warc_version="1.1")
        if self._file.tell() == 0:
            self._writer.write_record(self._writer.create_warcinfo_record(self._path.name, self._info))

    @property
    def position(self) -> tuple[str, int]:
        """Name and length of the open file."""
        return self._path.name, self._file.tell()

    def close(self) -> None:
        """Close the open file."""
        self._file.close()

    def write_response(self, response: Response, metadata: Mapping[str, Any]) -> Place:
        """Write response, request and metadata of a fetched page; return where the response lies."""
        self._rotate()
        date = _date(response)
        headers = [(f"X-Crawl-{k}" if k.lower() in _UNTRUE_HEADERS else k, v) for k, v in response.headers]
        headers.append(("Content-Length", str(len(response.body))))
        record = self._record("response", response.url, f"{response.status} OK", headers, response.body, date)
        place = self._write(record)
        answer_id = record.rec_headers.get_header("WARC-Record-ID")
        path = "/" + response.url.split("/", 3)[3]
        request = self._record(
            "request", response.url, f"GET {path} HTTP/1.1", list(response.request_headers), b"", date
        )
        request.rec_headers.add_header("WARC-Concurrent-To", answer_id)
        self._write(request)
        self._metadata(response.url, metadata, answer_id, date)
        return place

    def write_unchanged(self, response: Response, stored: bytes, metadata: Mapping[str, Any]) -> Place:
        """Carry the record of an earlier crawl forward, byte for byte, and write a revisit record that says so.

        So the artifact is whole by itself: a reader finds the page's text here, and when it was checked last.
        """
        from fastwarc.warc import ArchiveIterator

        self._rotate()
        offset = self._file.tell()
        _FullWrites(self._file).write(stored)
        place = Place(f"warc/{self._path.name}", offset, len(stored))
        if response.status is None:  # nobody answered, so there is nothing to say but why it is still here
            self._metadata(response.url, metadata, None, _date(response))
            return place
        old = next(iter(ArchiveIterator(io.BytesIO(stored), parse_http=False))).headers
        profile = "server-not-modified" if response.status == 304 else "identical-payload-digest"
        record = self._record(
            "revisit",
            response.url,
            "304 Not Modified" if response.status == 304 else "200 OK",
            list(response.headers),
            b"",
            _date(response),
        )
        record.rec_headers.replace_header("WARC-Profile", f"http://netpreserve.org/warc/1.1/revisit/{profile}")
        record.rec_headers.add_header("WARC-Refers-To", old["WARC-Record-ID"])
        record.rec_headers.add_header("WARC-Refers-To-Target-URI", response.url)
        record.rec_headers.add_header("WARC-Refers-To-Date", old["WARC-Date"])
        if "WARC-Payload-Digest" in old:
            record.rec_headers.replace_header("WARC-Payload-Digest", old["WARC-Payload-Digest"])
        self._write(record)
        self._metadata(response.url, metadata, record.rec_headers.get_header("WARC-Record-ID"), _date(response))
        return place

    def _rotate(self) -> None:
        if self._file.tell() >= self._rotate_bytes:
            self.close()
            self._number += 1
            self._open()

    def _record(self, kind: str, url: str, line: str, headers: list[tuple[str, str]], body: bytes, date: str) -> Any:
        from warcio.statusandheaders import StatusAndHeaders

        first, _, rest = line.partition(" ")
        if kind == "request":
            http = StatusAndHeaders(f"{first} {rest}", headers, is_http_request=True)
        else:
            http = StatusAndHeaders(line, headers, protocol="HTTP/1.1")
        return self._writer.create_warc_record(
            url, kind, payload=io.BytesIO(body), http_headers=http, warc_headers_dict={"WARC-Date": date}
        )

    def _metadata(self, url: str, metadata: Mapping[str, Any], about: str | None, date: str) -> None:
        text = "".join(f"{name}: {value}\r\n" for name, value in metadata.items() if value is not None)
        record = self._writer.create_warc_record(
            url,
            "metadata",
            payload=io.BytesIO(text.encode("utf-8", "replace")),
            warc_content_type="application/warc-fields",
            warc_headers_dict={"WARC-Date": date, **({"WARC-Concurrent-To": about} if about else {})},
        )
        self._write(record)

    def _write(self, record: Any) -> Place:
        offset = self._file.tell()
        self._writer.write_record(record)
        return Place(f"warc/{self._path.name}", offset, self._file.tell() - offset)


class _FullWrites:
    """An unbuffered file whose write() writes all; the raw one may write less, on a disk that fills up."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.tell = file.tell
        self.flush: Callable[[], None] = file.flush

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]
        return len(data)


def read_bytes(path: Path, offset: int, length: int) -> bytes:
    """Return the bytes of one record as they lie in the file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def read_responses(root: Path, places: Iterable[tuple[str, int]]) -> Iterator[tuple[str | None, bytes]]:
    """Yield (content type, body) of the response records at these (file, offset); root is the artifact.

    A record that cannot be read yields (None, b"").
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    for file, offset in places:
        try:
            with open(root / file, "rb") as stream:
                stream.seek(offset)
                record = next(iter(ArchiveIterator(stream, record_types=WarcRecordType.response)))
                body = record.reader.read()
                yield (record.http_headers.get("content-type") if record.http_headers else None), body
        except (StopIteration, OSError, ValueError, RuntimeError):
            yield None, b""


def count_members(path: Path) -> int:
    """Return the number of records of a WARC file by reading all their headers; raises on a broken file."""
    from fastwarc.warc import ArchiveIterator

    with open(path, "rb") as stream:
        return sum(1 for _ in ArchiveIterator(stream, parse_http=False))


def _date(response: Response) -> str:
    return response.started_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
