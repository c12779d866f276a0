"""Canonical URLs: known spellings, and properties that hold for any text."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.crawl.traps import is_trap
from tasks.crawl.urls import MAX_URL_LENGTH, canonical


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:443/a#part", "https://example.org/a"),
        ("https://example.org:80/", "https://example.org:80/"),
        ("http://example.org/%7euser/%c3%a4", "http://example.org/~user/%C3%A4"),
        ("http://example.org/ä b", "http://example.org/%C3%A4%20b"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://example.org/../..", "http://example.org/"),
        ("http://example.org/a/..", "http://example.org/"),
        ("http://example.org/a//b", "http://example.org/a//b"),
        ("http://example.org/100%", "http://example.org/100%25"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://example.org./", "http://example.org/"),
        ("http://example.org?b=2&a=1", "http://example.org/?b=2&a=1"),
        ("http://example.org/?utm_source=x&id=7&fbclid=y", "http://example.org/?id=7"),
        ("http://example.org/a;jsessionid=0A?x=1", "http://example.org/a?x=1"),
        (" http://exa\nmple.org/\t", "http://example.org/"),
        ("http:\\\\example.org\\a", "http://example.org/a"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ],
)
def test_known_spellings(url, expected):
    assert canonical(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "mailto:a@example.org",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://user:secret@example.org/",
        "http://[::1",
        "http://a:99999/",
        "http://exa mple.org/",
        "http://-a-.org/",
        "http://example.org/" + "a" * MAX_URL_LENGTH,
    ],
)
def test_what_is_no_page_of_ours(url):
    assert canonical(url) is None


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("b.html", "http://h/dir/b.html"),
        ("../b", "http://h/b"),
        ("//other/x", "http://other/x"),
        ("?q=1", "http://h/dir/a?q=1"),
        ("#top", "http://h/dir/a"),
        ("", "http://h/dir/a"),
    ],
)
def test_links_are_resolved_against_their_page(link, expected):
    assert canonical(link, "http://h/dir/a") == expected


@given(st.text(max_size=60), st.sampled_from(["", "http://h/", "http://h", "https://h/?", "http:"]))
@example("//[", "http:")
@example("/%", "http://h")
@example("\ud800", "http://h/")
def test_canonical_is_idempotent_ascii_and_never_raises(text, prefix):
    url = canonical(prefix + text)
    if url is not None:
        assert canonical(url) == url
        assert url.isascii()
        assert url.isprintable()
        assert " " not in url
        assert "#" not in url
        parts = urlsplit(url)
        assert parts.scheme in ("http", "https")
        assert parts.path.startswith("/")
        assert not {".", ".."} & set(parts.path.split("/"))
        assert canonical(text, prefix) is None or canonical(text, prefix).isascii()


def test_traps_are_seen():
    assert is_trap("http://h/a/b/a/b/a/b/a/b", 2026)
    assert is_trap("http://h/" + "/".join(map(str, range(30))), 2026)
    assert not is_trap("http://h/2026/01/01/01/post", 2026)
