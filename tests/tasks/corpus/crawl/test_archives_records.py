"""What stands in the records of archives: answers as browsers read them, odd headers, kinds that hold no page.

Also covers: tasks/corpus/crawl/http_answer.py
Also covers: tasks/corpus/crawl/warc_headers.py
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pyarrow as pa
import pytest

from tests.tasks.corpus.crawl.reading import ARC_START, arc_record, contents, page, read, warc_record

PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def test_chunks_and_compression_are_undone_and_bombs_are_not(tmp_path):
    path = tmp_path / "a.warc"
    chunked = page(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n")
    wrong = page(b"not chunked at all", "Transfer-Encoding: chunked\r\n")
    packed = page(gzip.compress(b"packed"), "Content-Encoding: gzip\r\n")
    bomb = page(gzip.compress(bytes(3_000_000)), "Content-Encoding: gzip\r\n")
    path.write_bytes(b"".join(warc_record(block) for block in (chunked, wrong, packed, bomb)))
    found = contents(path, max_page_megabytes=1)
    assert found == [b"abcde", b"not chunked at all", b"packed", "too_large"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"http/1.1 200 ok\r\ncontent-type: text/html\r\n\r\nbody", b"body"),
        (b"HTTP/2 200\r\nContent-Type: text/html\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\nContent-Type: text/html\n\nbody\r\n\r\nmore", b"body\r\n\r\nmore"),
        (b"HTTP/1.1 200 OK\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 203 From a proxy\r\nContent-Type: text/html\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + page("body"), b"body"),
        (b"HTTP/1.1 200 OK\r\nContent-Type:\r\n text/html\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html, text/html; charset=utf-8\r\n\r\nbody", b"body"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html charset=utf-8\r\n\r\nbody", b"body"),
        (page(b"4;a=b\r\nbody\r\n0\r\nTrailer: x\r\n\r\n", "Transfer-Encoding: chunked\r\n"), b"body"),
        (page(b"2\nbo\n2\ndy\n0\n\n", "transfer-encoding: Chunked\r\n"), b"body"),
        (page(b"2\r\nbo\r\n0002 \r\ndy", "Transfer-Encoding: chunked\r\n"), b"body"),  # the last chunk is missing
        (page(zlib.compress(b"body"), "Content-Encoding: deflate\r\n"), b"body"),
        (page(gzip.compress(b"body"), "Transfer-Encoding: gzip, Chunked\r\n"), b"body"),
        (page(b"body", "Transfer-Encoding: identity\r\n"), b"body"),
        (page(zlib.compress(b"body", wbits=-15), "Content-Encoding: deflate\r\n"), b"body"),
        (page(gzip.compress(b"body")[:-3], "Content-Encoding: x-gzip\r\n"), b"body"),  # all but its checksum is there
        (page(gzip.compress(b"body" * 99)[:-12], "Content-Encoding: gzip\r\n"), "broken_encoding"),
        (page(b"body", "Content-Encoding: UTF-8\r\n"), b"body"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 99)[:-9], "http_404"),
    ],
)
def test_answers_are_read_as_browsers_read_them(tmp_path, answer, expected):
    (tmp_path / "a.warc").write_bytes(warc_record(answer))
    (tmp_path / "a.arc").write_bytes(ARC_START + arc_record("http://a/", answer))
    assert contents(tmp_path / "a.warc") == contents(tmp_path / "a.arc") == [expected]


def header_of(record: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The record with its header changed."""
    head, blank, block = record.partition(b"\r\n\r\n")
    return change(head) + blank + block


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.lower().replace(b"warc/1.0", b"WARC/1.0"),
        lambda head: head.upper(),
        lambda head: head.replace(b": ", b":\r\n\t"),
        lambda head: head.replace(b": ", b" :  "),
        lambda head: head.replace(b"WARC-Type", b"warc-type"),
        lambda head: head.replace(b"Content-Length", b"content-length"),
        lambda head: head.replace(b"WARC/1.0", b"WARC/1.1").replace(b"response", b"Response"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_letter_case_and_folds_in_a_header_are_valid(tmp_path, change, pack):
    good, odd = warc_record(page("good")), header_of(warc_record(page("odd")), change)
    for number, records in enumerate(([odd], [odd, good], [good, odd, odd, good], [good, odd])):
        path = tmp_path / f"{number}.warc"
        path.write_bytes(b"".join(map(pack, records)))
        assert contents(path) == [b"odd" if record is odd else b"good" for record in records]


def test_odd_records_in_a_file_that_was_packed_as_a_whole(tmp_path):
    good = warc_record(page("good"))
    odd = header_of(warc_record(page("odd")), bytes.lower).replace(b"warc/1.0", b"WARC/1.0")
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(good + odd + b"rubble" * 30 + b"\r\n\r\n" + good))
    assert contents(tmp_path / "a.warc.gz") == [b"good", b"odd", "broken_record", b"good"]


@pytest.mark.parametrize(
    "first",
    [
        b"rubble\r\n\r\n",
        warc_record(page("odd")).replace(b"Content-Length: ", b"Content-Length: -", 1),
        warc_record(page("odd")).replace(b"Content-Length: ", b"Content-Length: 9", 1),
    ],
    ids=["rubble", "no-length", "too-long"],
)
def test_what_follows_a_broken_first_record_is_read_also_where_all_was_packed_as_one(tmp_path, first):
    for pack in (bytes, gzip.compress):
        (tmp_path / "a.warc").write_bytes(pack(first + warc_record(page("good")) * 2))
        assert contents(tmp_path / "a.warc")[-2:] == [b"good"] * 2


def test_headers_without_carriage_returns_are_read(tmp_path):
    record = header_of(warc_record(page("odd")), lambda head: head.replace(b"\r\n", b"\n"))
    record = record.replace(b"\r\n\r\nHTTP", b"\n\nHTTP").removesuffix(b"\r\n\r\n") + b"\n\n"
    for pack in (bytes, gzip.compress):
        (tmp_path / "a.warc").write_bytes(pack(record) * 3)
        assert contents(tmp_path / "a.warc") == [b"odd"] * 3


def test_every_record_that_is_no_page_is_a_row(tmp_path):
    good, odd = warc_record(page("good")), warc_record(page("odd"))
    records = [
        good,
        odd.replace(b"WARC-Type: response\r\n", b""),
        odd.replace(b"Type: response", b"Type: respons"),
        odd.replace(b"Type: response", b"Type:"),
        warc_record(b"the second half", "continuation"),
        warc_record(page("the first half"), WARC_Segment_Number="1"),
        warc_record(b"GET /", "request"),
        warc_record(b"", "metadata"),
        good,
    ]
    for pack in (bytes, gzip.compress):
        (tmp_path / "a.warc").write_bytes(b"".join(map(pack, records)))
        reasons = [b"good", *["record_type"] * 3, *["segmented_record"] * 2, b"good"]
        assert contents(tmp_path / "a.warc") == reasons
        found = read(tmp_path / "a.warc")[2]
        assert "has the type 'respons', which WARC does not know" in found.detail
        assert (found.url, found.n_bytes) == ("http://example.org/", len(page("odd")))


def test_a_response_without_a_type_of_content_is_an_answer(tmp_path):
    record = warc_record(page("one")).replace(b"Content-Type: application/http; msgtype=response\r\n", b"", 1)
    as_page = warc_record(page("one")).replace(
        b"Content-Type: application/http; msgtype=response", b"Content-Type: text/html"
    )
    (tmp_path / "a.warc").write_bytes(record + as_page)
    assert contents(tmp_path / "a.warc") == [b"one", b"one"]
