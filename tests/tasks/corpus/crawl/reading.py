"""Reading one source file in a test, and archives to read."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from tasks.corpus.crawl import CrawlConfig
from tasks.corpus.crawl.files import read_file
from tasks.corpus.crawl.source_record import Record


def read(path: Path, **settings: Any) -> list[Record]:
    """All records of a file."""
    return list(read_file(path, path.name, CrawlConfig(**settings)))


def contents(path: Path, **settings: Any) -> list[bytes | str]:
    """What each record holds, or its problem."""
    return [record.problem or record.content for record in read(path, **settings)]


def write_warc(path: Path, bodies: list[bytes]) -> None:
    """Write a WARC file of pages with these bodies."""
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with open(path, "wb") as stream:
        writer = WARCWriter(stream, gzip=path.suffix == ".gz")
        for number, body in enumerate(bodies):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html; charset=latin-1")], protocol="HTTP/1.1")
            url = f"http://example.org/{number}"
            writer.write_record(writer.create_warc_record(url, "response", BytesIO(body), http_headers=headers))


def warc_record(block: bytes, kind: str = "response", length: int | None = None, **headers: str) -> bytes:
    """A record as it stands in a file; `length` overrides the true one."""
    content_type = "application/http; msgtype=response" if kind == "response" else "text/plain"
    lines = {
        "WARC-Type": kind,
        "WARC-Target-URI": "http://example.org/",
        "WARC-Date": "2020-01-01T00:00:00Z",
        "Content-Type": content_type,
        "Content-Length": str(len(block) if length is None else length),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "WARC/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return head.encode() + block + b"\r\n\r\n"


def page(body: bytes | str, headers: str = "") -> bytes:
    """The answer of a server."""
    body = body.encode() if isinstance(body, str) else body
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + headers.encode() + b"\r\n" + body


def arc_record(url: str, block: bytes, length: int | str | None = None) -> bytes:
    """A record of an ARC file, version 1."""
    line = f"{url} 127.0.0.1 20010203040506 text/html {len(block) if length is None else length}\n"
    return line.encode() + block + b"\n"


ARC_VERSION = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n"
ARC_START = b"filedesc://a.arc 0.0.0.0 20010203040506 text/plain %d\n%s\n" % (len(ARC_VERSION), ARC_VERSION)
