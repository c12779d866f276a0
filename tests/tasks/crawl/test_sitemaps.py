"""Sitemaps: indexes, gzip, other namespaces, plain lists, dates, limits, and what is broken."""

from __future__ import annotations

import datetime
import gzip
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.crawl.sitemaps import MAX_URLS, Entry, is_sitemap, parse_date, parse_sitemap

MAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc>http://h/a?x=1&amp;y=2</loc><lastmod>2025-11-01T10:00:00+02:00</lastmod></url>
  <url><lastmod>2024-05-31</lastmod><loc> <![CDATA[http://h/b]]> </loc>
       <image:image><image:loc>http://h/picture.png</image:loc></image:image></url>
  <url><loc>http://h/Caf\u00e9</loc></url>
  <url><loc>mailto:x@h</loc></url>
  <url><loc>http://h/b</loc></url>
</urlset>"""


def urls(body: bytes) -> list[str]:
    return [entry.url for entry in parse_sitemap(body).entries]


def test_urls_and_dates():
    found = parse_sitemap(MAP.encode())
    assert not found.is_index
    when = datetime.datetime(2025, 11, 1, 8, tzinfo=datetime.UTC).timestamp()
    day = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC).timestamp()
    assert Entry("http://h/a?x=1&y=2", when) in found.entries
    assert Entry("http://h/b", day) in found.entries
    assert Entry("http://h/Caf%C3%A9") in found.entries


def test_an_index_of_any_prefix():
    body = b"<sm:sitemapindex xmlns:sm='x'><sm:sitemap><sm:loc>http://h/1.xml</sm:loc></sm:sitemap></sm:sitemapindex>"
    assert parse_sitemap(body).is_index
    assert urls(body) == ["http://h/1.xml"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda body: body[:-12], lambda body: b"\xef\xbb\xbf" + body])
def test_packed_torn_and_marked_ones_are_read(pack):
    assert urls(pack(MAP.encode()))[:2] == ["http://h/a?x=1&y=2", "http://h/b"]


def test_utf_16_is_read():
    assert "http://h/Caf%C3%A9" in urls(MAP.encode("utf-16"))


def test_a_plain_list():
    assert urls(b"http://h/1\r\n\r\nhttp://h/2\nnonsense\n") == ["http://h/1", "http://h/2"]


def test_sitemaps_are_told_from_pages():
    assert is_sitemap(MAP.encode())
    assert is_sitemap(gzip.compress(MAP.encode()))
    assert not is_sitemap(b"<html><body>about <b>urlset</b></body></html>")
    assert not is_sitemap(b"")


def test_limits_hold():
    many = b"<urlset>" + b"".join(b"<url><loc>http://h/%d</loc></url>" % n for n in range(MAX_URLS + 5)) + b"</urlset>"
    assert len(urls(many)) == MAX_URLS
    bomb = gzip.compress(b"<urlset><url><loc>http://h/1</loc></url>" + bytes(50_000_000))
    assert [entry.url for entry in parse_sitemap(bomb, 10_000).entries] == ["http://h/1"]


def test_hostile_ones_are_fast():
    started = time.process_time()
    for body in (b"<loc>" * 500_000, b"<loc><![CDATA[" * 200_000, b"<url " * 500_000, b"<!ENTITY a 'b'>" * 100_000):
        parse_sitemap(body)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025", "2026-01-01"), ("2025-12", "2026-01-01"), ("2025-11", "2025-12-01"), ("2025-11-30", "2025-12-01"),
        ("2025-11-30T10:00Z", "2025-11-30T10:00"), ("2025-11-30T10:00:00.5+01:00", "2025-11-30T09:00:00.5"),
        ("2025-11-30T10:00:00", "2025-11-30T10:00:00"),
    ],
)  # fmt: skip
def test_dates(text, iso):
    assert parse_date(text) == datetime.datetime.fromisoformat(iso).replace(tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13", "2025-02-30", "9999", "9999-12-31", "0000-00-00", "1" * 300, "2025-11-30" * 9]
)
def test_what_is_no_date(text):
    assert parse_date(text) is None


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_are_a_list_or_none(body, text):
    for data in (body, b"<urlset><url><loc>" + body, b"\x1f\x8b" + body, b"\xff\xfe" + body):
        assert all(entry.url.startswith(("http://", "https://")) for entry in parse_sitemap(data, 1000).entries)
        is_sitemap(data)
    parse_date(text)
