"""Which addresses are public, and robots.txt, links and limits without a network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crawl.fetch import Response
from tasks.crawl.links import links_of
from tasks.crawl.network import is_public
from tasks.crawl.robots import Rules
from tasks.crawl.sitemaps import parse_sitemap


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    ],
)  # fmt: skip
def test_addresses_of_the_own_network(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("status", "body", "known", "allowed"),
    [
        (200, b"User-agent: *\nDisallow: /", True, False),
        (200, b"\xef\xbb\xbfUser-agent: textmill\nDisallow: /", True, False),
        (200, b"User-agent: other\nDisallow: /", True, True),
        (200, b"<html>not robots</html>", True, True),
        (200, bytes(range(256)), True, True),
        (200, b"", True, True),
        (404, b"User-agent: *\nDisallow: /", True, True),
        (403, b"", True, True),
        (500, b"", False, False),
        (503, b"", False, False),
    ],
)
def test_robots_by_status(status, body, known, allowed):
    rules = Rules.parse(status, body, b"", "textmill")
    assert (rules.known, rules.allows("http://h/page")) == (known, allowed)


def test_delay_and_sitemaps_of_robots():
    rules = Rules.parse(200, b"User-agent: *\nCrawl-delay: 2.5\nSitemap: http://h/s.xml\n", b"", "textmill")
    assert rules.delay == 2.5
    assert rules.sitemaps == ["http://h/s.xml"]
    assert Rules.parse(200, b"User-agent: *\nRequest-rate: 1/5\n", b"", "textmill").delay == 5
    assert Rules.parse(404, b"", b"", "textmill").delay == 0


def test_links_base_quotes_and_entities():
    html = b"""<base href="/dir/"><a href='x?a=1&amp;b=2'>x</a><A class=y HREF=z>z</A><area href="q">
    <a title="href=no" href="yes">y</a><link rel=stylesheet href=s.css><link rel="next" href="/n">
    <iframe src=f></iframe>"""
    expected = ["dir/x?a=1&b=2", "dir/z", "dir/q", "dir/yes", "n", "dir/f"]
    assert links_of("http://h/", html).urls == [f"http://h/{path}" for path in expected]


@given(st.binary(max_size=300))
def test_any_bytes_have_links_or_none(body):
    for wrapped in (body, b'<a href="' + body, b'<a href="' + body + b'">'):
        assert all(url.startswith(("http://", "https://")) for url in links_of("http://h/", wrapped).urls)
    parse_sitemap(body, 1000)


def test_huge_pages_without_links_are_fast():
    import time

    started = time.perf_counter()
    for body in (
        b"<" * 3_000_000,
        b"<a " * 1_000_000,
        b"<a href=" * 300_000,
        b'<a href="' * 300_000,
        b"<loc>" * 500_000,
    ):
        links_of("http://h/", body)
        parse_sitemap(body, 10**7)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("0", 0), ("soon", None), ("-1", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)]
)
def test_retry_after(value, seconds):
    assert Response("http://h/", 503, (("Retry-After", value),)).retry_after() == seconds
