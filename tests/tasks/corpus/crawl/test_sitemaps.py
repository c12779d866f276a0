"""Sitemaps: indexes, gzip, other namespaces, plain lists, dates, limits, and what is broken."""

from __future__ import annotations

import datetime
import gzip
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.sitemaps import MAX_BYTES, MAX_URLS, Entry, is_sitemap, is_url_list, parse_date, parse_sitemap

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


@pytest.mark.parametrize("declared", ["ISO-8859-1", "windows-1251", "koi8-r", "none", "UTF-16"])
def test_other_encodings_are_read(declared):
    encoding = declared if declared.startswith(("win", "koi")) else "latin-1"
    name = "мука" if encoding != "latin-1" else "Caf\u00e9"
    body = f"<?xml version='1.0' encoding='{declared}'?><urlset><url><loc>http://h/{name}</loc></url></urlset>"
    assert urls(body.encode(encoding)) == [f"http://h/{quote(name)}"]


def test_a_plain_list():
    assert urls(b"http://h/1\r\n\r\nhttp://h/2\nnonsense\n") == ["http://h/1", "http://h/2"]


def test_sitemaps_are_told_from_pages():
    assert is_sitemap(MAP.encode())
    assert is_sitemap(gzip.compress(MAP.encode()))
    assert not is_sitemap(b"<html><body>about <b>urlset</b></body></html>")
    assert not is_sitemap(b"")


@pytest.mark.parametrize(
    ("loc", "url"),
    [
        ("http://h/list?f[0]=mill&amp;x=1", "http://h/list?f%5B0%5D=mill&x=1"),
        ("http://h/?a=1&section=2&copy=3", "http://h/?a=1&section=2&copy=3"),
        ("http://h/?a=1&#38;b=2&eacute;", "http://h/?a=1&b=2%C3%A9"),
        ("<![CDATA[ http://h/?a=1&b[]=2&amp;c ]]>", "http://h/?a=1&b[]=2&amp;c".replace("[]", "%5B%5D")),
        ("/relative", "http://m/relative"), ("other", "http://m/maps/other"), ("//n/x", "http://n/x"),
        ("\n  http://h/a b\t\n", "http://h/a%20b"), ("http://h/<!-- no -->x", "http://h/x"),
    ],
)  # fmt: skip
def test_locations_are_xml_or_pretend_to_be(loc, url):
    body = f"<urlset><url><loc>{loc}</loc></url></urlset>".encode()
    assert [entry.url for entry in parse_sitemap(body, base="http://m/maps/1.xml").entries] == [url]


@pytest.mark.parametrize(
    "extra",
    [
        "<image:image><image:loc>http://h/no</image:loc></image:image>",
        "<video:video><video:loc>http://h/no</video:loc><video:content_loc>http://h/no</video:content_loc></video:video>",
        "<image xmlns='http://www.google.com/schemas/sitemap-image/1.1'><loc>http://h/no</loc></image>",
        "<i:x><i:loc>http://h/no</i:loc></i:x><!-- <loc>http://h/no</loc> --><loc></loc>",
        "<!-- <url><loc>http://h/no</loc></url> -->",
    ],
)
def test_pictures_videos_and_comments_are_no_pages(extra):
    for prefix in ("", "sm:"):
        url = f"<{prefix}url>{extra}<{prefix}loc>http://h/1</{prefix}loc>{extra}</{prefix}url>"
        body = f"<!-- c --><{prefix}urlset>{url}{extra}{url.replace('h/1', 'h/2')}<!-- <loc>http://h/no</loc>"
        assert urls(body.encode()) == ["http://h/1", "http://h/2"]


def test_all_members_of_a_packed_one_are_read():
    body = MAP.encode()
    for cut in (1, 200, 700):
        packed = gzip.compress(body[:cut]) + gzip.compress(b"") + gzip.compress(body[cut:]) + b"garbage"
        assert is_sitemap(packed)
        assert parse_sitemap(packed) == parse_sitemap(body)


def test_a_list_sent_as_a_page_has_to_begin_as_one():
    assert is_sitemap(b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c --><urlset>", page=True)
    assert is_sitemap(b"<br>Warning<urlset>")
    assert not is_sitemap(b"<br>Warning<urlset>", page=True)
    assert not is_sitemap(b"<!doctype html><p><urlset>", page=True)


def test_a_list_of_urls_is_told_from_a_text():
    assert is_url_list(b"\xef\xbb\xbfhttp://h/1\r\n\nHTTPS://h/2?a=b\n")
    assert is_url_list(b"http://h/123456789\n" * 9_000)
    assert not is_url_list(b"http://h/1 is a page\n")
    assert not is_url_list(b"<p>http://h/1")
    assert not is_url_list(b"")


def test_what_is_cut_off_is_said():
    many = b"<urlset>" + b"".join(b"<url><loc>http://h/%d</loc></url>" % n for n in range(MAX_URLS + 1)) + b"</urlset>"
    assert "50,000 URLs" in (parse_sitemap(many).cut or "")
    large = b"<urlset><url><loc>http://h/1</loc></url>" + b" " * MAX_BYTES + b"<url><loc>http://h/2</loc></url>"
    for body in (large, gzip.compress(large, 1)):
        found = parse_sitemap(body)
        assert ([entry.url for entry in found.entries], "52,428,800" in (found.cut or "")) == (["http://h/1"], True)
    assert parse_sitemap(large[:MAX_BYTES]).cut is None


def test_limits_hold():
    many = b"<urlset>" + b"".join(b"<url><loc>http://h/%d</loc></url>" % n for n in range(MAX_URLS + 5)) + b"</urlset>"
    assert len(urls(many)) == MAX_URLS
    bomb = gzip.compress(b"<urlset><url><loc>http://h/1</loc></url>" + bytes(50_000_000))
    assert [entry.url for entry in parse_sitemap(bomb, 10_000).entries] == ["http://h/1"]


def test_hostile_ones_are_fast():
    started = time.process_time()
    for body in (
        b"<loc>" * 500_000,
        b"<loc><![CDATA[" * 200_000,
        b"<url " * 500_000,
        b"<!ENTITY a 'b'>" * 100_000,
        b"<!--" * 500_000,
        b"<loc>" + b"]" * 2_000_000,
        b"http://h " * 200_000,
    ):
        parse_sitemap(body)
        is_sitemap(body, page=True)
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
