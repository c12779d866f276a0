"""A *no* that travels with a page in an archive or a file is heard; silence keeps the page and says nothing."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.corpus.crawl.config import CrawlConfig
from tasks.corpus.crawl.files import read_file
from tasks.corpus.crawl.source_record import Record
from tasks.corpus.crawl.stage import crawl
from tasks.corpus.crawl.stored_rights import heeded
from tasks.stage import local_output

TEXT = "<p>The mill stands by the river."
RSL_NO = (
    '<script type="application/rsl+xml"><rsl xmlns="https://rslstandard.org/rsl"><content url="/">'
    '<license><prohibits type="usage">ai-train</prohibits></license></content></rsl></script>'
)


def warc(*answers: str) -> bytes:
    """A WARC file with one response each."""
    records = []
    for number, answer in enumerate(answers):
        block = answer.encode()
        head = f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.test/{number}\r\nWARC-Date: "
        head += f"2026-01-02T03:04:05Z\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
        records.append(head.encode() + block + b"\r\n\r\n")
    return b"".join(records)


def answer(headers: str = "", body: str = TEXT) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}\r\n{body}"


def records(path: Path, **settings: Any) -> list[Record]:
    config = CrawlConfig(**settings)
    return [heeded(record, config.honour, config.agent_name) for record in read_file(path, path.name, config)]


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ("", TEXT, None),
        ("X-Robots-Tag: noai\r\n", TEXT, "noai"),
        ("X-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: noai, noimageai\r\n", TEXT, "noai"),
        ("X-Robots-Tag: otherbot: noai\r\n", TEXT, None),
        ("TDM-Reservation: 1\r\n", TEXT, "tdm_reservation"),
        ("tdm-reservation: 0\r\n", TEXT, None),
        ("Content-Signal: search=yes, ai-train=no\r\n", TEXT, "content_signal"),
        ("Content-Usage: train-ai=n\r\n", TEXT, "content_usage"),
        ("", f'<meta name="ROBOTS" content="index, NoAI">{TEXT}', "noai"),
        ("", f"<meta name=tdm-reservation content=1>{TEXT}", "tdm_reservation"),
        ("TDM-Reservation: 1\r\n", f"<meta name=tdm-reservation content=0>{TEXT}", None),  # the page wins
        ("", f"<!-- <meta name=robots content=noai> -->{TEXT}", None),
        ("", f"{TEXT} It is about noai and tdm-reservation.", None),
        ("", f"{RSL_NO}{TEXT}", "rsl"),
    ],
)
def test_pages_of_archives(tmp_path: Path, headers: str, body: str, reason: str | None) -> None:
    for name, pack in (("a.warc", bytes), ("a.warc.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(warc(answer(headers, body), answer())))
        first, second = records(tmp_path / name)
        assert (first.problem, second.problem) == (reason, None)
        assert first.url == "http://a.test/0"
        if reason:
            assert first.content == b""
            assert first.rights is not None
            assert first.rights["train"] == "deny"
            assert f"{first.rights['said'][0]['at']:%Y-%m-%d}" == "2026-01-02"
        assert second.rights is None


@pytest.mark.parametrize("said", [b"<META name=robots content='NoAI'>", b"<Meta name=TDM-Reservation content=1>"])
def test_a_no_is_heard_wherever_it_stands_in_a_large_page(said: bytes) -> None:
    config = CrawlConfig()
    for before in (*range(8), 5_000, 30_000):  # bytes
        page = b"<html>" + b"-" * before + said + b"+" * (30_000 - before)
        assert heeded(Record(page, "text/html"), config.honour, config.agent_name).rights is not None
    page = b"<html>" + b"+" * 30_000 + RSL_NO.replace("rsl+xml", "RSL+XML").encode()
    assert heeded(Record(page, "text/html"), config.honour, config.agent_name).problem == "rsl"
    for page in (b"<html>" + b"-+" * 20_000, b"<html>" + b"The boat is at the oak. " * 1_000):
        assert heeded(Record(page, "text/html"), config.honour, config.agent_name).rights is None


def test_what_is_not_honoured_is_kept_and_written_down(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(warc(answer("X-Robots-Tag: noai\r\n")))
    (found,) = records(tmp_path / "a.warc", honour=["noindex"])
    assert (found.problem, found.content) == (None, TEXT.encode())
    assert found.rights is not None
    assert found.rights["train"] == "deny"


def test_html_files_and_arc_are_heard_too(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f"<html><meta name=robots content=noai>{TEXT}")
    (tmp_path / "b.html").write_bytes(f"<html><meta name=robots content=noai>{TEXT}".encode("utf-16"))
    (tmp_path / "c.txt").write_text("<meta name=robots content=noai> is how a page says no.")
    block = answer("X-Robots-Tag: noai\r\n").encode()
    (tmp_path / "d.arc").write_bytes(
        b"filedesc://a.arc 0.0.0.0 20010203040506 text/plain 5\n1 0\n\n\n"
        + b"http://a.test/ 1.2.3.4 20010203040506 text/html %d\n" % len(block)
        + block
        + b"\n"
    )
    reasons = {path.name: [record.problem for record in records(path)] for path in sorted(tmp_path.iterdir())}
    assert reasons == {"a.html": ["noai"], "b.html": ["noai"], "c.txt": [None], "d.arc": ["noai"]}


def test_the_crawl_has_a_row_with_reason_and_rights(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(warc(answer("Content-Signal: ai-train=no\r\n"), answer()))
    out = local_output(tmp_path / "out")
    crawl(CrawlConfig(server="none", seeds=[], hosts=[], paths=[str(tmp_path / "a.warc")]), out)
    rows = pq.read_table(out.dir / "pages.parquet").to_pylist()
    assert [(row["reason"], row["detail"]) for row in rows] == [("content_signal", "ai-train=no"), ("read", None)]
    assert rows[0]["rights"]["said"][0]["where"] == "header"
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
