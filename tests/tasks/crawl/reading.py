"""Reading one source file in a test, and archives to read."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from tasks.crawl import CrawlConfig
from tasks.crawl.files import read_file
from tasks.crawl.source_record import Record


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
