"""WARC, WET and ARC files: broken records, cut files, other packings, and what warcio reads from the same bytes."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.corpus.crawl.reading import ARC_START, arc_record, contents, page, read, warc_record, write_warc

PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_a_warc_with_a_damaged_record_keeps_the_others(tmp_path, name):
    path = tmp_path / name
    bodies = [f"<p>body {n} {'x' * 500}</p>".encode() for n in range(6)]
    write_warc(path, bodies)
    whole = read(path)
    assert [record.content for record in whole] == bodies
    assert whole[0].url == "http://example.org/0"
    assert whole[0].charset in ("latin-1", "cp1252", "iso-8859-1")
    data = path.read_bytes()
    marker = b"\x1f\x8b\x08" if name.endswith("gz") else b"WARC/1.0"
    third = [at for at in range(len(data)) if data.startswith(marker, at)][2]
    path.write_bytes(data[: third + 4] + b"\xff" * 60 + data[third + 64 :])
    found = contents(path)
    assert "broken_record" in found
    assert [body for body in bodies if body in found] == [*bodies[:2], *bodies[3:]]


def test_a_truncated_warc_gives_what_it_has(tmp_path):
    path = tmp_path / "a.warc.gz"
    bodies = [f"<p>body {n} {'x' * 500}</p>".encode() for n in range(6)]
    write_warc(path, bodies)
    path.write_bytes(path.read_bytes()[:-150])
    assert contents(path)[:5] == bodies[:5]
    assert bodies[5] not in contents(path)


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        (warc_record(page("b"), length=10), 1),  # shorter than it says: its rest is no record
        (warc_record(page("b"), length=-5), 1),
        (warc_record(page(b"plain", "Content-Encoding: gzip\r\n")), 0),  # unpacked already: kept as it is
        (warc_record(page(gzip.compress(bytes(range(99)))[:-30], "Content-Encoding: br\r\n")), 1),
        (warc_record(b"no answer of a server"), 1),
        (b"garbage\r\n" * 50, 1),
        (b"WARC/1.0\r\n" + b"x" * 100_000 + b"\r\n\r\n", 1),
    ],
)
def test_one_bad_record_costs_itself_only(tmp_path, damaged, expected):
    path = tmp_path / "a.warc"
    path.write_bytes(warc_record(page("first")) + damaged + warc_record(page("last")))
    found = contents(path)
    assert (found[0], found[-1]) == (b"first", b"last")
    problems = [item for item in found if isinstance(item, str)]
    assert len(problems) == expected
    assert set(problems) <= {"broken_record", "broken_encoding", "truncated_record"}


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    kind=st.sampled_from(["request", "metadata", "warcinfo", "response", "resource"]),
    more=st.one_of(st.integers(5, 900), st.sampled_from([10**5, 10**9]), st.none()),
    packed=st.booleans(),
)
def test_a_record_that_says_it_is_longer_than_it_is_swallows_no_neighbour(tmp_path_factory, kind, more, packed):
    """Also where its end by its own word is the end of a neighbour (None) or of the file, so nothing else tells."""
    path = tmp_path_factory.mktemp("lie") / ("a.warc.gz" if packed else "a.warc")
    pack = gzip.compress if packed else bytes
    block = page("the liar") if kind == "response" else b"the liar"
    others = [warc_record(page(f"page {number}")) for number in range(4)]
    lie = len(block) + (len(others[1]) if more is None else more)
    path.write_bytes(b"".join(map(pack, [others[0], warc_record(block, kind, length=lie), *others[1:]])))
    found = contents(path)
    assert [item for item in found if item in [f"page {number}".encode() for number in range(4)]] == [
        f"page {number}".encode() for number in range(4)
    ]
    problems = {"truncated_record", "broken_record"} & set(found)
    assert problems, "the liar has no row"
    assert not any(b"page" in item and b"liar" in item for item in found if isinstance(item, bytes))


def test_the_row_of_a_record_that_is_too_short_says_where_it_is(tmp_path):
    path = tmp_path / "a.warc"
    first, neighbour = warc_record(page("first")), warc_record(page("second"))
    lie = warc_record(b"GET / HTTP/1.1\r\n\r\n", "request", length=18 + len(neighbour) + 4)
    path.write_bytes(first + lie + neighbour)
    row = read(path)[1]
    assert (row.problem, row.url) == ("truncated_record", "http://example.org/")
    assert row.detail == f"the request record at byte {len(first)} says {22 + len(neighbour)} bytes and has 18"
    assert contents(path)[2] == b"second"


def test_an_answer_that_is_whole_is_kept_though_its_record_says_more(tmp_path):
    path = tmp_path / "a.warc"
    whole = page("whole", "Content-Length: 5\r\n")
    path.write_bytes(warc_record(whole, length=len(whole) + 200) + warc_record(page("second")))
    assert contents(path) == [b"whole", b"second"]


def test_a_page_may_hold_a_record(tmp_path):
    """Such as one about archives, or an archive that was downloaded: its digest or its own length says so."""
    path = tmp_path / "a.warc"
    inner = b"see:\r\n\r\n" + warc_record(page("not a page of its own")) + b"</pre>"
    digest = "sha1:" + base64.b32encode(hashlib.sha1(page(inner)).digest()).decode()
    path.write_bytes(
        warc_record(page(inner), WARC_Block_Digest=digest)
        + warc_record(page(inner, f"Content-Length: {len(inner)}\r\n"))
        + warc_record(page("last"))
    )
    assert contents(path) == [inner, inner, b"last"]


def test_a_lie_longer_than_any_page_is_seen(tmp_path):
    path = tmp_path / "a.warc"
    lie = warc_record(page("x" * 3_000_000), length=9_000_000)
    path.write_bytes(lie + warc_record(page("second")) + warc_record(page("third")))
    assert contents(path, max_page_megabytes=0.1) == ["too_large", b"second", b"third"]


def test_a_record_that_swallows_its_neighbour_in_one_member_gives_it_back(tmp_path):
    """Records in one gzip member, which no archive should have: the file is unpacked, so there are places in it."""
    path = tmp_path / "a.warc.gz"
    neighbour = warc_record(page("second"))
    lie = warc_record(b"{}", "metadata", length=2 + 4 + len(neighbour))
    path.write_bytes(gzip.compress(warc_record(page("first")) + lie + neighbour))
    assert contents(path) == [b"first", "truncated_record", b"second"]


def test_a_record_that_the_files_end_cuts_is_not_passed_for_a_whole_one(tmp_path):
    path = tmp_path / "a.warc"
    whole = warc_record(page("first")) + warc_record(page("x" * 1000))
    path.write_bytes(whole[:-500])
    assert contents(path) == [b"first", "truncated_record"]
    path.write_bytes(gzip.compress(whole)[:-12])
    assert contents(path) == [b"first", "truncated_record"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_record_that_is_cut_anywhere_is_a_row(tmp_path, pack):
    first, second = pack(warc_record(page("first"))), pack(warc_record(page("second"), WARC_Filename="last-header"))
    path = tmp_path / "a.warc"
    for kept in range(1, len(second) - 20, 3):
        path.write_bytes(first + second[:kept])
        found = contents(path)
        assert found[0] == b"first", kept
        assert len(found) == 2, kept
        assert found[1] in ("broken_record", "truncated_record"), kept


def test_what_is_no_page_has_its_reason(tmp_path):
    path = tmp_path / "a.warc"
    records = [
        warc_record(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\ngone"),
        warc_record(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\npicture"),
        warc_record(b"", "revisit"),
        warc_record(b"{}", "metadata"),
        warc_record("Wörter".encode(), "conversion"),
        warc_record(page("y" * 2_000)),
    ]
    path.write_bytes(b"".join(records))
    assert contents(path, max_page_megabytes=0.001) == ["http_404", "mime", "revisit", "Wörter".encode(), "too_large"]
    assert read(path)[3].charset == "utf-8"  # Common Crawl's WET is


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".bz2", ".xz"])
def test_archives_in_every_packing(tmp_path, suffix):
    warc = warc_record(page("one")) + warc_record(page("two"))
    arc = ARC_START + arc_record("http://a/1", page("one")) + arc_record("http://a/2 with blanks", page("two"))
    pack = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }[suffix]
    for name, data in (("a.warc", warc), ("a.arc", arc)):
        (tmp_path / f"{name}{suffix}").write_bytes(pack(data))
        assert contents(tmp_path / f"{name}{suffix}") == [b"one", b"two"]


def test_an_arc_file_that_has_lost_its_beginning(tmp_path):
    (tmp_path / "a.arc.gz").write_bytes(gzip.compress(b"its end" + arc_record("http://a/1", page("one"))))
    assert contents(tmp_path / "a.arc.gz") == ["broken_record"]
    (tmp_path / "a.arc.gz").write_bytes(gzip.compress(b"its end\n" + arc_record("http://a/1", page("one"))))
    assert contents(tmp_path / "a.arc.gz") == ["broken_record", b"one"]


def test_arc_records_with_broken_lines_and_lengths(tmp_path):
    path = tmp_path / "a.arc"
    path.write_bytes(
        ARC_START
        + arc_record("http://a/1", page("one"))
        + arc_record("http://a/2", page("lost"), length="abc")
        + arc_record("http://a/3", page("short"), length=20)
        + b"what is this line\n" * 3
        + arc_record("http://a/4", b"plain text, no HTTP")
        + b"http://a/5 127.0.0.1 20010203040506 200 - - 0 a.arc 4\n"
        + arc_record("http://a/6", page("last"))
        + arc_record("http://a/7", page("cut"), length=5_000)
    )
    records = read(path)
    good = [(record.url, record.content) for record in records if not record.problem]
    assert ("http://a/1", b"one") in good
    assert ("http://a/4", b"plain text, no HTTP") in good
    assert ("http://a/6", b"last") in good
    problems = Counter(record.problem for record in records if record.problem)
    assert problems["truncated_record"] == 1
    assert problems["broken_record"] >= 3
    assert records[0].fetched_at is not None
    assert records[0].fetched_at.isoformat() == "2001-02-03T04:05:06+00:00"


def warcio_pages(path: Path) -> list[tuple[str, bytes]]:
    """(URL, body) of what warcio reads as pages, until it gives up."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    found = []
    with open(path, "rb") as stream:
        try:
            for record in ArchiveIterator(stream, arc2warc=True):
                if record.rec_type in ("response", "resource", "conversion"):
                    status = record.http_headers.get_statuscode() if record.http_headers else "200"
                    body = record.content_stream().read()
                    if status == "200":
                        found.append((record.rec_headers.get_header("WARC-Target-URI"), body))
        except ArchiveLoadFailed:
            pass
    return found


@pytest.mark.shared
@pytest.mark.parity
def test_the_same_pages_as_warcio_in_every_archive_of_the_shared_data(shared_data, tmp_path):
    folder = shared_data / "10_warc_robots"
    paths = [path for path in sorted(folder.rglob("*")) if any(k in path.name for k in (".warc", ".arc"))]
    assert len(paths) >= 24
    differences: dict[str, Any] = {}
    total = 0
    for path in paths:
        theirs = {(url.replace("%20", " ") if url else url, body) for url, body in warcio_pages(path)}
        types = ("text/html", "text/plain", "application/json", "application/http", "text/dns")
        records = read(path, mime=(*types, *{f"image/{kind}" for kind in ("gif", "png", "jpeg")}, *OTHER_TYPES))
        ours = {((record.url or "").replace("%20", " "), record.content) for record in records if not record.problem}
        total += len(ours)
        if missing := {url for url, body in theirs - ours if body}:
            differences[path.name] = missing
    assert total > 500
    assert differences == {}


OTHER_TYPES = (
    "application/x-javascript",
    "application/javascript",
    "text/javascript",
    "text/css",
    "text/xml",
    "application/xml",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "application/octet-stream",
    "application/x-shockwave-flash",
    "application/pdf",
    "application/warc-fields",
    "unk",
)


@pytest.mark.shared
def test_broken_archives_lose_what_is_broken_and_say_so(shared_data):
    folder = shared_data / "10_warc_robots"
    reasons = {
        path.name: dict(Counter(record.problem or "read" for record in read(path)))
        for name in ("*bad*", "*trunc*", "*wrong-chunks*")
        for path in folder.rglob(name)
    }
    assert reasons == {
        "badexample.arc.gz": {"read": 2, "mime": 1, "broken_record": 1},
        "bad.arc": {"broken_record": 2, "read": 1},
        "example-bad-non-chunked.warc.gz": {"read": 1, "revisit": 1},
        "example-bad.warc.gz.bad": {"read": 1, "revisit": 1, "http_302": 1},
        "example-wget-bad-target-uri.warc.gz": {"read": 3},
        "example-trunc.warc": {"read": 1, "broken_record": 1},
        "example-wrong-chunks.warc.gz": {"read": 1},
    }


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [
                    warc_record(page("ok")),
                    warc_record(page("ok"), length=9),
                    gzip.compress(warc_record(page("ok"))),
                    gzip.compress(warc_record(page("ok")))[:-9],
                    b"WARC/1.0\r\n",
                    b"\r\n\r\n",
                    b"\x1f\x8b\x08\x00",
                    ARC_START,
                    arc_record("http://a/", page("ok")),
                    arc_record("http://a/", page("ok"), length=7),
                ]
            ),
        ),
        max_size=8,
    ),
    name=st.sampled_from(["a.warc", "a.warc.gz", "a.arc", "a.arc.gz", "a.wet.bz2"]),
)
def test_readers_of_archives_survive_anything(tmp_path_factory, pieces, name):
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(b"".join(pieces))
    records = read(path)
    assert records
    assert all(record.problem or isinstance(record.content, bytes) for record in records)
