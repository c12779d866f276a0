"""Feeds: their items and dates, broken and hostile XML, and crawls of what lists name and nothing else."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.crawl.feeds import MAX_ENTRIES, is_feed, parse_feed
from tasks.corpus.crawl.sitemaps import Entry
from tasks.stage import local_output
from tests.tasks.corpus.crawl.conftest import Answer, Site

HERE = "http://a.test/feed"


def at(*when: int) -> float:
    return datetime.datetime(*when, tzinfo=datetime.UTC).timestamp()


def rss(*items: str) -> bytes:
    return f"<?xml version='1.0'?><rss version='2.0'><channel>{''.join(items)}</channel></rss>".encode()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", [b"<?xml a?>", b"<!DOCTYPE a>", b"<!---->", b"<!DOCTYPE a [", b"<!--", b" ", b"<?a"])
def test_a_beginning_without_end_is_told_at_once(piece: bytes) -> None:
    assert not is_feed(piece * (70_000 // len(piece)) + b"x")
    assert is_feed(piece * 100 + b"<rss>") == (piece in {b"<?xml a?>", b"<!DOCTYPE a>", b"<!---->", b" "})


def test_rss_items_with_every_kind_of_link_and_date():
    found = parse_feed(
        rss(
            "<link>http://a.test/front</link>",
            "<item><link>http://a.test/1?utm_source=rss</link><pubDate>Sat, 07 Sep 2002 00:00:01 GMT</pubDate></item>",
            "<item><guid>http://a.test/2</guid><dc:date xmlns:dc='d'>2020-01-01T00:00:00Z</dc:date></item>",
            "<item><guid isPermaLink='false'>http://a.test/no</guid><title>without a link</title></item>",
            "<item><link>/3</link><f:origLink xmlns:f='f'>http://b.test/origin</f:origLink></item>",
            "<item><link>javascript:alert(1)</link></item>",
            "<item><link> <![CDATA[http://a.test/4?a=1&b=2]]> </link><pubDate>some day</pubDate></item>",
            "<item><link>http://a.test/1</link></item>",
        ),
        HERE,
    )
    assert found == (
        Entry("http://a.test/1", at(2002, 9, 7, 0, 0, 1)),
        Entry("http://a.test/2", at(2020, 1, 1)),
        Entry("http://b.test/origin"),
        Entry("http://a.test/4?a=1&b=2"),
    )


def test_atom_with_bases_relations_and_a_next_page():
    body = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://b.test/x/">
        <link rel="self" href="/feed"/><link rel="next" href="?page=2"/>
        <entry><link rel="edit" href="e"/><link href="p1"/>
            <updated>2024-05-01T10:00:00+02:00</updated><published>2023-01-01</published></entry>
        <entry xml:base="deep/"><link rel="alternate" href="p2"/></entry>
        <entry><id>http://b.test/id</id></entry><entry><id>urn:uuid:1</id></entry></feed>"""
    assert parse_feed(body, HERE) == (
        Entry("http://b.test/x/?page=2"),
        Entry("http://b.test/x/p1", at(2024, 5, 1, 8)),
        Entry("http://b.test/x/deep/p2"),
        Entry("http://b.test/id"),
    )
    assert parse_feed(body.decode().encode("utf-16"), HERE) == parse_feed(body, HERE)


def test_rdf():
    body = b"""<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        xmlns="http://purl.org/rss/1.0/"><channel><items/></channel>
        <item rdf:about="x"><link>http://c.test/1</link></item></rdf:RDF>"""
    assert parse_feed(body, HERE) == (Entry("http://c.test/1"),)


@pytest.mark.parametrize(
    "body",
    [
        rss("<title>T &nbsp; &undefined; & <br> <b>x</title>", "<item><link>http://a.test/1</link></item>"),
        rss("<item><link>http://a.test/1</link></item>", "<item><link>http://a.te"),
        rss("<item><link>http://a.test/1</link></item>")[:-25],
        b"\xef\xbb\xbf \n"
        + rss("<item><link>http://a.test/1</link><p>\x00\xff\xfe</item>").replace(b"'1.0'", b"'1.0' encoding='x-no'"),
        b'<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://127.0.0.1:1/rss.dtd">'
        b"<rss><channel><item><link>http://a.test/1</link></item></channel></rss>",
    ],
)
def test_broken_feeds_give_what_they_have(body):
    assert Entry("http://a.test/1") in parse_feed(body, HERE)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("?a=1&section=7&copy=2&b", "?a=1&section=7&copy=2&b"), ("?a=1&amp;section=7", "?a=1&section=7"),
        ("?a=1&copy;&eacute;&none;", "?a=1%C2%A9%C3%A9&none;"), ("?a=1&&b&#38;c&#x26;d", "?a=1&b&c&d"),
        ("<![CDATA[?a=1&section=7&amp;b]]>", "?a=1&section=7&amp;b"),
    ],
)  # fmt: skip
def test_links_with_ampersands_stay_what_they_are(link, url):
    for body in (
        rss(f"<item><link>http://a.test/{link}</link></item>").decode(),
        f"<feed><entry><id>http://a.test/{link}</id></entry></feed>",
    ):
        for form in (body.encode(), body.encode("utf-16")):
            assert parse_feed(form, HERE) == (Entry(f"http://a.test/{url}"),)
    if "<" not in link:
        assert parse_feed(f"<feed><entry><link href='/{link}'/></entry></feed>".encode(), "http://a.test/f") == (
            Entry(f"http://a.test/{url}"),
        )


def test_a_feed_behind_the_warning_of_a_script():
    body = b"<br />\n<b>Warning</b>: line 3<br />\n" + rss("<item><link>http://a.test/1</link></item>")
    assert parse_feed(body, HERE) == (Entry("http://a.test/1"),)
    assert is_feed(body, page=False)
    assert not is_feed(body)


def test_a_json_feed():
    body = b"""{"version": "https:\\/\\/jsonfeed.org\\/version\\/1.1", "title": "N", "next_url": "?page=2", "items": [
        {"id": "1", "url": "/1", "date_published": "2024-05-01T10:00:00Z"}, {"id": 2}, 3, {"url": "http://b.test/"}]}"""
    assert is_feed(body)
    assert parse_feed(body, HERE) == (
        Entry("http://a.test/1", at(2024, 5, 1, 10)),
        Entry("http://b.test/"),
        Entry("http://a.test/feed?page=2"),
    )
    assert not is_feed(b'{"version": "1.1", "items": []}')
    assert parse_feed(body[:-9], HERE) == parse_feed(body[:60] + b"[" * 100_000, HERE) == ()


def test_entities_are_never_expanded_or_loaded(tmp_path):
    (tmp_path / "secret").write_text("secret")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    start, secret = "<!DOCTYPE rss [", f'SYSTEM "file://{tmp_path}/secret"'
    bodies = [
        f'{start}<!ENTITY l0 "lol">{laughs}]><rss><item><link>http://a.test/&l11;</link></item></rss>',
        f"{start}<!ENTITY x {secret}>]><rss><item><link>http://a.test/&x;</link></item></rss>",
        f"{start}<!ENTITY % x {secret}> %x;]><rss><item><link>/&x;</link></item></rss>",
        "<rss><item>" + "<a>" * 100_000 + "<link>http://a.test/</link>",
    ]
    started = time.process_time()
    for body in bodies:
        assert is_feed(body.encode())
        for entry in parse_feed(body.encode(), HERE):
            assert "lol" not in entry.url
            assert "secret" not in entry.url
    assert time.process_time() - started < 2


def test_a_feed_without_end_ends():
    body = rss(*(f"<item><link>http://a.test/{number}</link></item>" for number in range(MAX_ENTRIES + 5)))
    assert len(parse_feed(body, HERE)) == MAX_ENTRIES


@pytest.mark.parametrize(
    "body", [b"", b"<html><body><rss></body>", b"<urlset/>", b"rss", b"<!--" * 5_000, b"<?xml" * 5_000]
)
def test_what_is_no_feed(body):
    assert not is_feed(body)
    assert parse_feed(body, HERE) == ()


PIECES = [
    *(b"<rss>", b"<feed>", b"<item>", b"</item>", b"<link>", b"</link>", b"http://a.test/1", b"<![CDATA[", b"]]>"),
    *(b"<!--", b"-->", b"&x;", b"<!DOCTYPE a [", b"<!ENTITY x 'y'>", b"]>", b"<link href='/'/>", b"<guid>"),
    *(b"<pubDate>", b"1 Jan 2020", b"<?xml version='1.0' encoding='utf-16'?>", b"<x:y z='", b"\0"),
]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from(PIECES),
        ),
        max_size=25,
    ).map(b"".join)
)
def test_no_body_raises(body):
    for start in (b"", b"<rss>", b"<feed>"):
        is_feed(start + body)
        assert all(entry.url.startswith("http") for entry in parse_feed(start + body, HERE))


def reasons(site: Site, folder: Path, seed: str, **settings: Any) -> dict[str, str]:
    """Crawl from one seed; what became of each path."""
    config = CrawlConfig(seeds=(f"{site.url}{seed}",), resolve=site.resolve, delay=0.0, per_host=4, **settings)
    crawl(config, local_output(folder))
    rows = pq.read_table(folder / "pages.parquet").to_pylist()
    return {row["url"].removeprefix(site.url): row["reason"] for row in rows}


def test_a_crawl_of_what_a_feed_lists_and_nothing_else(site: Site, tmp_path):
    items = "".join(f"<item><link>{site.url}/{number}</link></item>" for number in range(3))
    site.pages["/feed"] = Answer(
        rss(items, "<item><link>http://other.test/</link></item>"), headers={"Content-Type": "application/rss+xml"}
    )
    for number in range(3):
        site.page(f"/{number}", "/elsewhere")
    site.page("/elsewhere")
    lists = {"/feed": "list", "/0": "fetched", "/1": "fetched", "/2": "fetched", "http://other.test/": "other_host"}
    assert reasons(site, tmp_path / "a", "/feed", follow_links=False) == lists | {"/elsewhere": "not_followed"}
    assert reasons(site, tmp_path / "b", "/feed") == lists | {"/elsewhere": "fetched"}


def test_a_crawl_of_what_sitemaps_list_and_nothing_else(site: Site, tmp_path):
    xml = {"Content-Type": "application/xml"}
    site.pages["/index.xml"] = Answer(
        f"<sitemapindex><sitemap><loc>{site.url}/map.xml</loc></sitemap></sitemapindex>".encode(), headers=xml
    )
    site.pages["/map.xml"] = Answer(
        f"<urlset><url><loc>{site.url}/a</loc></url><url><loc>{site.url}/b</loc></url></urlset>".encode(), headers=xml
    )
    site.page("/a", "/c")
    site.page("/b", "/c")
    site.page("/c")
    assert reasons(site, tmp_path, "/index.xml", follow_links=False) == {
        "/index.xml": "list",
        "/map.xml": "list",
        "/a": "fetched",
        "/b": "fetched",
        "/c": "not_followed",
    }
