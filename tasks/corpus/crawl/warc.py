"""WARC 1.1 files, written record by record with known offsets."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.corpus.crawl.fetch import Response

GZIP_LEVEL = 6  # 9, as warcio writes, takes 2.5 times as long for 0.6 % less (measured on Python sources)
# bodies are stored without their transfer encodings, so these headers would be untrue; they are kept under another
# name, as Common Crawl does
_UNTRUE_HEADERS = {"content-encoding", "transfer-encoding", "content-length"}
# a visitor's session is not part of a page, and may be a credential
_SECRET_HEADERS = {"set-cookie", "set-cookie2", "authorization", "proxy-authorization", "cookie"}


@dataclass(frozen=True)
class Place:
    """The position of a response record: file inside the artifact, first byte, bytes (of its gzip member)."""

    file: str
    offset: int
    length: int


class WarcWriter:
    """Appends to folder/crawl-00000.warc.gz, ...; opens a new file at `rotate_bytes`. One gzip member per record.

    Nothing is buffered: when a method returns, the operating system has the bytes, and the frontier commits
    `position`. The records are assembled here and not by warcio, which compresses at level 9; all files are checked
    with warcio.
    """

    def __init__(self, folder: Path, *, rotate_bytes: int, software: str, on_warcinfo: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rotate_bytes = folder, rotate_bytes
        self._info = {
            "software": software,
            "format": "WARC File Format 1.1",
            "conformsTo": "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
            **on_warcinfo,
        }
        present = sorted(folder.glob("crawl-*.warc.gz"))
        self._number = int(present[-1].name[6:11]) if present else 0
        self._open()

    def _open(self) -> None:
        self._path = self._folder / f"crawl-{self._number:05d}.warc.gz"
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 (stays open between records)
        if self._file.tell() == 0:
            date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            headers = {"WARC-Filename": self._path.name, "Content-Type": "application/warc-fields"}
            self._write(_record("warcinfo", None, date, headers, _fields(self._info))[0])

    @property
    def position(self) -> tuple[str, int]:
        """Name and length of the open file."""
        return self._path.name, self._file.tell()

    def close(self) -> None:
        """Close the open file."""
        self._file.close()

    def write_response(self, response: Response, metadata: Mapping[str, Any]) -> Place:
        """Write response, request and metadata of a fetched page; return the position of the response."""
        self._rotate()
        headers = [(f"X-Crawl-{k}" if k.lower() in _UNTRUE_HEADERS else k, v) for k, v in response.headers]
        headers.append(("Content-Length", str(len(response.body))))
        http = _http(f"HTTP/1.1 {response.status} {response.reason}", headers)
        date, url = _date(response), response.url
        kind = {"Content-Type": "application/http;msgtype=response"}
        answer, answer_id = _record("response", url, date, kind, http, response.body)
        request = _http(f"GET /{url.split('/', 3)[3]} HTTP/1.1", response.request_headers)
        about = {"WARC-Concurrent-To": answer_id}
        kind = {"Content-Type": "application/http;msgtype=request", **about}
        asked, _ = _record("request", url, date, kind, request)
        return self._write(answer, asked, self._metadata(url, metadata, about, date))

    def write_unchanged(self, response: Response, stored: bytes, metadata: Mapping[str, Any]) -> Place:
        """Copy the record of an earlier crawl, byte for byte, and write a revisit record that says so.

        So the artifact is self-contained: a reader finds the page's text here, and when it was last checked.
        """
        from fastwarc.warc import ArchiveIterator

        self._rotate()
        date, url = _date(response), response.url
        if response.status is None:  # no server answered, so the metadata only says why the page is still here
            return self._write(stored, self._metadata(url, metadata, {}, date))
        old = next(iter(ArchiveIterator(io.BytesIO(stored), parse_http=False))).headers
        profile = "server-not-modified" if response.status == 304 else "identical-payload-digest"
        headers = {
            "Content-Type": "application/http;msgtype=response",
            "WARC-Profile": f"http://netpreserve.org/warc/1.1/revisit/{profile}",
            "WARC-Refers-To": old["WARC-Record-ID"],
            "WARC-Refers-To-Target-URI": url,
            "WARC-Refers-To-Date": old["WARC-Date"],
        }
        if "WARC-Payload-Digest" in old:
            headers["WARC-Payload-Digest"] = old["WARC-Payload-Digest"]
        # no body follows, so its length in the received headers would be untrue
        http_headers = [(f"X-Crawl-{k}" if k.lower() in _UNTRUE_HEADERS else k, v) for k, v in response.headers]
        http = _http(f"HTTP/1.1 {response.status} {response.reason}", http_headers)
        revisit, revisit_id = _record("revisit", url, date, headers, http)
        return self._write(stored, revisit, self._metadata(url, metadata, {"WARC-Concurrent-To": revisit_id}, date))

    def _metadata(self, url: str, metadata: Mapping[str, Any], about: Mapping[str, str], date: str) -> bytes:
        kind = {"Content-Type": "application/warc-fields", **about}
        return _record("metadata", url, date, kind, _fields(metadata))[0]

    def _rotate(self) -> None:
        if self._file.tell() >= self._rotate_bytes:
            self.close()
            self._number += 1
            self._open()

    def _write(self, *members: bytes) -> Place:
        """Write whole gzip members; return the position of the first."""
        place = Place(f"warc/{self._path.name}", self._file.tell(), len(members[0]))
        view = memoryview(b"".join(members))
        while view:  # an unbuffered file may write less than it is given, for example if the disk is filling up
            view = view[self._file.write(view) or 0 :]
        return place


def _record(
    kind: str, url: str | None, date: str, headers: Mapping[str, str], head: bytes, payload: bytes | None = None
) -> tuple[bytes, str]:
    """Return a record as a gzip member, and its id. The block is head + payload; a payload has its own digest."""
    record_id = f"<urn:uuid:{uuid.uuid4()}>"
    block = head + payload if payload else head
    lines = {"WARC-Type": kind, "WARC-Record-ID": record_id, "WARC-Date": date}
    if url is not None:
        lines["WARC-Target-URI"] = url
    lines |= headers
    lines["WARC-Block-Digest"] = _digest(block)
    if payload is not None:
        lines["WARC-Payload-Digest"] = _digest(payload)
    lines["Content-Length"] = str(len(block))
    text = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    member = packer.compress(text.encode()) + packer.compress(block) + packer.compress(b"\r\n\r\n") + packer.flush()
    return member, record_id


def _http(line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    kept = "".join(f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _SECRET_HEADERS)
    return f"{line.rstrip()}\r\n{kept}\r\n".encode("latin-1", "replace")


def _fields(fields: Mapping[str, Any]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None).encode()


def _digest(data: bytes) -> str:
    # SHA-1 in base 32, as in all archives, so that records of several crawls can be compared
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def _date(response: Response) -> str:
    return response.started_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
