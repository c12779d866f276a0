"""WARC files: valid for warcio and fastwarc, digests right, rotated, without cookies, revisits that refer.

Also covers: tasks/corpus/crawl/warc_reader.py
"""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from tasks.corpus.crawl.fetch import Response
from tasks.corpus.crawl.warc import WarcWriter
from tasks.corpus.crawl.warc_reader import read_bytes, read_responses

WHEN = datetime.datetime(2026, 3, 1, 12, 30, 5, 250_000, tzinfo=datetime.UTC)


def response(
    url: str = "http://h.test/a?b=%20", body: bytes = b"<p>hello</p>", status: int = 200, *headers
) -> Response:
    return Response(
        url,
        status,
        (("Content-Type", "text/html; charset=utf-8"), *headers),
        body,
        request_headers=(("Host", "h.test"), ("User-Agent", "textmill/0.1")),
        started_at=WHEN,
        reason="OK" if status == 200 else "Not Modified",
    )


def writer(folder: Path, rotate_bytes: int = 10**9) -> WarcWriter:
    return WarcWriter(folder, rotate_bytes=rotate_bytes, software="textmill", on_warcinfo={"robots": "obey"})


def check(folder: Path) -> list[Path]:
    """Check all files as `warcio check` does, and every digest and record with fastwarc; return them."""
    from fastwarc.warc import ArchiveIterator as Fast

    files = sorted(folder.glob("*.warc.gz"))
    checker = Checker(type("Args", (), {"inputs": [str(path) for path in files], "verbose": False})())
    assert checker.process_all() in (0, None)
    for path in files:
        kinds = []
        with open(path, "rb") as stream:
            for record in Fast(stream, parse_http=False):
                assert record.verify_block_digest() is not False
                kinds.append(record.headers["WARC-Type"])
        with open(path, "rb") as stream:
            for record in Fast(stream, parse_http=True):
                if record.headers["WARC-Type"] == "response":
                    assert record.verify_payload_digest() is not False
        with open(path, "rb") as stream:
            assert [record.rec_type for record in ArchiveIterator(stream)] == kinds
        assert kinds[0] == "warcinfo"
    return files


def records(path: Path):
    with open(path, "rb") as stream:
        return [(r.rec_type, r.rec_headers, r.http_headers, r.content_stream().read()) for r in ArchiveIterator(stream)]


def test_a_page_is_three_records_that_belong_together(tmp_path):
    warc = writer(tmp_path)
    place = warc.write_response(response(), {"depth": 2, "outlinks": 5, "nothing": None})
    warc.close()
    (path,) = check(tmp_path)
    info, answer, request, metadata = records(path)
    assert (info[0], answer[0], request[0], metadata[0]) == ("warcinfo", "response", "request", "metadata")
    assert b"software: textmill\r\nformat: WARC File Format 1.1\r\n" in info[3]
    assert b"robots: obey\r\n" in info[3]
    assert answer[1].protocol == "WARC/1.1"
    assert answer[1].get_header("WARC-Target-URI") == "http://h.test/a?b=%20"
    assert answer[1].get_header("WARC-Date") == "2026-03-01T12:30:05.250000Z"
    assert answer[3] == b"<p>hello</p>"
    assert answer[2].get_statuscode() == "200"
    assert request[2].statusline == "/a?b=%20 HTTP/1.1"
    assert request[2].get_header("User-Agent") == "textmill/0.1"
    assert request[1].get_header("WARC-Concurrent-To") == answer[1].get_header("WARC-Record-ID")
    assert metadata[1].get_header("WARC-Concurrent-To") == answer[1].get_header("WARC-Record-ID")
    assert metadata[3] == b"depth: 2\r\noutlinks: 5\r\n"
    assert next(read_responses(tmp_path.parent, [(f"{tmp_path.name}/{path.name}", place.offset)]))[1] == b"<p>hello</p>"


@pytest.mark.parametrize("body", [b"", b"\0" * 1000, b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", bytes(range(256)) * 500])
def test_any_body_comes_back(tmp_path, body):
    warc = writer(tmp_path / "warc")
    place = warc.write_response(response(body=body), {})
    warc.close()
    check(tmp_path / "warc")
    assert list(read_responses(tmp_path, [(place.file, place.offset)])) == [("text/html; charset=utf-8", body)]


def test_no_cookie_and_no_credential_is_stored_and_no_header_lies(tmp_path):
    warc = writer(tmp_path)
    secret = (("Set-Cookie", "id=SECRET; Path=/"), ("set-cookie2", "SECRET"), ("Authorization", "Basic SECRET"))
    transfer = (("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"), ("Content-Length", "7"))
    warc.write_response(response("http://h.test/", b"x" * 50, 200, *secret, *transfer, ("X-Name", "Zoë ☃")), {})
    warc.close()
    (path,) = check(tmp_path)
    _, answer, _, _ = records(path)
    assert "SECRET" not in str(answer[2])
    assert [value for name, value in answer[2].headers if name.lower() == "content-length"] == ["50"]
    assert answer[2].get_header("X-Crawl-Content-Encoding") == "gzip"
    assert answer[2].get_header("Content-Encoding") is None


def test_files_are_rotated_by_size_and_gone_on_with(tmp_path):
    for _ in range(2):
        warc = writer(tmp_path, rotate_bytes=3000)
        for number in range(20):
            warc.write_response(response(f"http://h.test/{number}", b"%d" % number), {})
        assert warc.position[0] == sorted(path.name for path in tmp_path.iterdir())[-1]
        warc.close()
    files = check(tmp_path)
    assert len(files) > 5
    assert all(path.stat().st_size < 5000 for path in files)
    assert sum(kind == "response" for path in files for kind, *_ in records(path)) == 40


@pytest.mark.parametrize(("status", "profile"), [(304, "server-not-modified"), (200, "identical-payload-digest")])
def test_a_revisit_refers_to_the_record_that_is_carried_along(tmp_path, status, profile):
    first = writer(tmp_path / "old" / "warc")
    place = first.write_response(response(), {})
    first.close()
    stored = read_bytes(tmp_path / "old" / place.file, place.offset, place.length)
    warc = writer(tmp_path / "new" / "warc")
    again = response("http://h.test/a?b=%20", b"<p>hello</p>", status, ("Content-Length", "12"), ("ETag", '"1"'))
    carried = warc.write_unchanged(again, stored, {"reason": "unchanged"})
    warc.close()
    (path,) = check(tmp_path / "new" / "warc")
    _, answer, revisit, metadata = records(path)
    assert (answer[0], revisit[0], metadata[0]) == ("response", "revisit", "metadata")
    assert revisit[1].get_header("WARC-Refers-To") == answer[1].get_header("WARC-Record-ID")
    assert revisit[1].get_header("WARC-Refers-To-Date") == answer[1].get_header("WARC-Date")
    assert revisit[1].get_header("WARC-Refers-To-Target-URI") == answer[1].get_header("WARC-Target-URI")
    assert revisit[1].get_header("WARC-Payload-Digest") == answer[1].get_header("WARC-Payload-Digest")
    assert revisit[1].get_header("WARC-Profile") == f"http://netpreserve.org/warc/1.1/revisit/{profile}"
    assert revisit[2].get_statuscode() == str(status)
    assert revisit[2].get_header("ETag") == '"1"'
    assert revisit[3] == b""
    assert read_bytes(tmp_path / "new" / carried.file, carried.offset, carried.length) == stored


def test_a_record_that_cannot_be_read_is_no_page(tmp_path):
    warc = writer(tmp_path / "warc")
    place = warc.write_response(response(), {})
    warc.close()
    path = tmp_path / place.file
    data = path.read_bytes()
    for broken in (data[: place.offset + 30], data[: place.offset] + b"\0" * 200, b""):
        path.write_bytes(broken)
        assert list(read_responses(tmp_path, [(place.file, place.offset)])) == [(None, b"")]
    path.unlink()
    assert list(read_responses(tmp_path, [(place.file, place.offset)])) == [(None, b"")]


def test_a_disk_that_fills_up_is_an_error_and_not_half_a_record(tmp_path, monkeypatch):
    warc = writer(tmp_path)

    class Full(io.RawIOBase):
        def __init__(self, file) -> None:
            self.file, self.left = file, 100

        def tell(self) -> int:
            return self.file.tell()

        def write(self, data) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            self.left -= (part := min(self.left, 60))
            return self.file.write(data[:part])

    before = warc.position
    warc._file = Full(warc._file)
    with pytest.raises(OSError, match="No space left"):
        warc.write_response(response(body=b"x" * 5000), {})
    assert before[1] < warc._file.file.tell()  # the frontier cuts this back, as its length was never committed
