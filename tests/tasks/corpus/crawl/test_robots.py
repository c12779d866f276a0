"""robots.txt line by line as RFC 9309 says, by status, by size, and 1,000 real ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.robots import MAX_ROBOTS_BYTES, Rules


def rules(text: str | bytes, status: int = 200) -> Rules:
    return Rules.parse(status, text.encode() if isinstance(text, str) else text, b"", "textmill")


def test_only_a_line_end_ends_a_line():
    found = rules(
        "User-agent: *\n# a note\u2028Disallow: /page\x85Disallow: /page\nDisallow: /a\u2028b\n\x0cDisallow: /c"
    )
    assert found.allows("http://h/page")
    assert not found.allows("http://h/a%E2%80%A8b")
    assert not found.allows("http://h/c")
    assert not rules("User-agent: *\rDisallow: /page").allows("http://h/page")


@pytest.mark.parametrize(
    ("status", "body", "known", "allowed"),
    [
        (200, b"User-agent: *\nDisallow: /", True, False),
        (206, b"User-agent: *\nDisallow: /", True, False),
        (200, b"\xef\xbb\xbfUser-agent: textmill\nDisallow: /", True, False),
        (200, b"User-agent: other\nDisallow: /", True, True),
        (200, b"<html>not robots</html>", True, True),
        (200, bytes(range(256)), True, True),
        (200, b"", True, True),
        (404, b"User-agent: *\nDisallow: /", True, True),
        (401, b"", True, True),
        (403, b"", True, True),
        (304, b"", True, True),
        (500, b"", False, False),
        (503, b"User-agent: *\nAllow: /", False, False),
    ],
)
def test_robots_by_status(status, body, known, allowed):
    found = rules(body, status)
    assert (found.known, found.allows("http://h/page")) == (known, allowed)


@pytest.mark.parametrize(
    ("text", "path", "allowed"),
    [
        # § 2.2.1: groups, the product token exactly, whatever its case, with or without a version
        ("User-agent: TEXTMILL\nDisallow: /", "/a", False),
        ("User-agent: textmill/2.0\nDisallow: /", "/a", False),
        ("User-agent: textmill (all versions)\nDisallow: /", "/a", False),
        ("User-agent: text\nDisallow: /", "/a", True),
        ("User-agent: mill\nDisallow: /", "/a", True),
        ("User-agent: textmill-news\nDisallow: /", "/a", True),
        ("User-agent: *\nDisallow: /\nUser-agent: textmill\nAllow: /", "/a", True),
        ("User-agent: textmill\nDisallow: /\nUser-agent: *\nAllow: /", "/a", False),
        ("User-agent: textmill\nDisallow: /a\n\nUser-agent: x\n\nUser-agent: textmill\nDisallow: /b", "/b", False),
        ("User-agent: a\nUser-agent: textmill\n\n# note\nDisallow: /b", "/b", False),
        ("User-agent: textmill\nSitemap: http://x\nUser-agent: b\nDisallow: /b", "/b", False),
        ("Disallow: /\n", "/a", True),
        ("User-agent: foo\nDisallow: /\n\nUser-agent: *\n", "/a", True),
        # § 2.2.2: the longest match, allow on a tie, an empty value allows
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
        ("User-agent: *\nDisallow: /a/b\nAllow: /a", "/a/b", False),
        ("User-agent: *\nDisallow: /folder\nAllow: /folder/\n", "/folder/x", True),
        ("User-agent: *\nDisallow: /*.htm\nAllow: /page\n", "/page.htm", False),
        ("User-agent: *\nDisallow:\n", "/a", True),
        ("User-agent: *\nDisallow: /\nAllow: /$\n", "/", True),
        ("User-agent: *\nDisallow: /\n", "/robots.txt", True),
        # § 2.2.2: octets outside ASCII and percent-encoding
        ("User-agent: *\nDisallow: /%7Efoo\n", "/~foo", False),
        ("User-agent: *\nDisallow: /ü\n", "/%C3%BC", False),
        ("User-agent: *\nDisallow: /a%2fb\n", "/a/b", True),
        ("User-agent: *\nDisallow: /a%3Cd\n", "/a%3Cd", False),
        # § 2.2.3: `*`, `$`, comments
        ("User-agent: *\nDisallow: /*.php$\n", "/x.php", False),
        ("User-agent: *\nDisallow: /*.php$\n", "/x.php?a", True),
        ("User-agent: *\nDisallow: /a**b\n", "/axxb", False),
        ("User-agent: *\nDisallow: /a$b\n", "/a$b", False),
        ("User-agent: *\nDisallow: /?q=\n", "/?q=1", False),
        ("User-agent: *#all\nDisallow: /a # these\n", "/a", False),
        # line ends, blanks and case are free
        ("user-AGENT : *\r\nDISALLOW : /a \r\n", "/a", False),
        ("User-agent: *\rDisallow: /a\r", "/a", False),
        ("\tUser-agent:\t*\n  Disallow:/a\n", "/a", False),
        ("User-agent: *\nDisallow: page\n", "/page", True),
        ("User-agent: *\0\nDisallow: /a\0\n", "/b", True),
    ],
)  # fmt: skip
def test_rules_as_the_rfc_says(text, path, allowed):
    assert rules(text).allows(f"http://h{path}") is allowed


def test_what_lies_behind_500_kib_does_not_count():
    filler = b"# nothing\n" * (MAX_ROBOTS_BYTES // 10)
    assert rules(b"User-agent: *\nDisallow: /early\n" + filler + b"Disallow: /late\n").allows("http://h/late")
    assert not rules(b"User-agent: *\nDisallow: /early\n" + filler).allows("http://h/early")
    assert MAX_ROBOTS_BYTES >= 500 * 1024


def test_delay_and_sitemaps():
    found = rules("User-agent: *\nCrawl-delay: 2.5\nSitemap: http://h/s.xml\nSitemap: /t.xml\n")
    assert found.delay == 2.5
    assert found.sitemaps == ["http://h/s.xml", "/t.xml"]
    assert rules("User-agent: *\nRequest-rate: 1/5\n").delay == 5
    assert 1e6 < rules(f"User-agent: *\nRequest-rate: 1/{'9' * 400}\n").delay < float("inf")
    assert rules("User-agent: *\nCrawl-delay: 9\nUser-agent: textmill\nCrawl-delay: 1\n").delay == 1
    for value in ("soon", "-3", "inf", "nan", ""):
        assert rules(f"User-agent: *\nCrawl-delay: {value}\n").delay == 0
    assert rules(b"", 404).delay == 0


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=40))
def test_any_bytes_are_rules(body, path):
    from tasks.corpus.crawl.urls import canonical

    url = canonical(f"http://h/{path}") or "http://h/"
    for text in (body, b"User-agent: *\nDisallow: " + body, b"User-agent: *\nCrawl-delay: " + body):
        found = rules(text)
        assert found.known
        found.allows(url)
        assert 0 <= found.delay < float("inf")
        assert all(isinstance(sitemap, str) for sitemap in found.sitemaps)


def test_patterns_of_a_hostile_site_are_fast():
    started = time.process_time()
    for pattern in ("/" + "*a" * 2000 + "$", "/" + "a*" * 200 + "b$", "/*" * 3000):
        rules(f"User-agent: *\nDisallow: {pattern}\n").allows("http://h/" + "a" * 1900)
    rules(b"User-agent: *\n" + b"Disallow: /x\n" * 30_000).allows("http://h/y")
    assert time.process_time() - started < 10


@pytest.mark.shared
def test_real_robots_are_read(shared_data: Path):
    files = sorted((shared_data / "10_warc_robots" / "scrapy__protego" / "tests" / "test_data").iterdir())
    assert len(files) > 50
    restrictive = 0
    for path in files:
        body = path.read_bytes()
        found = rules(body)
        assert found.known, path.name
        assert found.allows("http://h/robots.txt") is True
        assert found.delay >= 0
        # what is said to everybody is the same for us, as none of these sites has heard of us
        if b"textmill" not in body.lower():
            other = Rules.parse(200, body, b"", "nobody-has-heard-of-this")
            for page in ("/", "/search?q=x", "/admin/", "/index.html"):
                assert found.allows(f"http://h{page}") == other.allows(f"http://h{page}")
                restrictive += not found.allows(f"http://h{page}")
    assert restrictive > 20
