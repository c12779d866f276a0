"""The records of the crawl's own WARC files, read back at an offset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def read_bytes(path: Path, offset: int, length: int) -> bytes:
    """Return the bytes of one record as they are in the file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def read_responses(root: Path, places: Iterable[tuple[str, int]]) -> Iterator[tuple[str | None, bytes]]:
    """Yield (content type, body) of the response records at these (file, offset); root is the artifact.

    A record that cannot be read yields (None, b"").
    """
    for file, offset in places:
        headers, body = read_response(root, file, offset)
        yield headers.get("content-type"), body


def read_response(root: Path, file: str, offset: int) -> tuple[Mapping[str, str], bytes]:
    """Return the headers, names in lower case, and the body of a response record; both empty if it cannot be read.

    The values of several headers with the same name form one list (RFC 9110 § 5.3).
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    try:
        with open(root / file, "rb") as stream:
            stream.seek(offset)
            record = next(iter(ArchiveIterator(stream, record_types=WarcRecordType.response)))
            body = record.reader.read()
            headers: dict[str, str] = {}
            for name, value in record.http_headers or ():
                headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
            return headers, body
    except (StopIteration, OSError, ValueError, RuntimeError):
        return {}, b""
