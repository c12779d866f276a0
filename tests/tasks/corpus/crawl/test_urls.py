"""Canonical URLs: known spellings, and properties that hold for any text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.corpus.crawl.urls import MAX_URL_LENGTH, canonical, host_of, origin_of


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
        ("http://example.org/a/.;jsessionid=1", "http://example.org/a/"),
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
        "http://./evil.example/",
        "http://.../evil.example",
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


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/?PHPSESSID=abc&id=1&utm_id=3&_ga=2", "http://h/?id=1"),
        ("http://h/?sid=0123456789abcdef0123456789abcdef&t=1", "http://h/?t=1"),
        ("http://h/?sid=story17", "http://h/?sid=story17"),
        ("http://h/(S(abcdefghijklmnopqrstuvwx))/page", "http://h/page"),
        ("http://h/?gclid", "http://h/"),
        ("http://h/?a&&b=", "http://h/?a&b="),
        ("http://h/?", "http://h/"),
        ("http://h/?utm_source=x#frag", "http://h/"),
        ("http://h/?utmost=1", "http://h/?utmost=1"),
    ],
)
def test_tracking_and_sessions_go(url, expected):
    assert canonical(url) == expected


def test_parameters_of_the_recipe_go_by_their_whole_name():
    drop = re.compile("ref|from_[a-z]+", re.I)
    assert canonical("http://h/?Ref=1&reference=2&from_top=3&x=ref", None, drop) == "http://h/?reference=2&x=ref"


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("http://h.test/", "h.test", "http://h.test"),
        ("https://h.test:81/a:b/c", "h.test", "https://h.test:81"),
        ("http://[::1]:8080/x", "::1", "http://[::1]:8080"),
        ("", "", ""),
    ],
)
def test_host_and_origin(url, host, origin):
    assert (host_of(url), origin_of(url)) == (host, origin)


@pytest.mark.shared
def test_the_whatwg_test_data(shared_data: Path):
    """Every http(s) URL of the standard's own tests comes out as the standard says, apart from our choices.

    Ours: no credentials, no port 0, only hosts that DNS can know, one spelling of percent-encoding, no fragment.
    """
    path = shared_data / "10_warc_robots" / "servo__rust-url" / "url" / "tests" / "urltestdata.json"
    cases = [case for case in json.loads(path.read_text()) if isinstance(case, dict)]
    same = 0
    for case in cases:
        found = canonical(case["input"], case["base"])
        if case.get("failure"):
            # ada does not decode the punycode of an ASCII host; DNS has no such name
            assert found is None or "xn--pokxncvks" in found, case
        elif case["protocol"] not in ("http:", "https:") or case["username"] or case["password"]:
            assert found is None, case
        elif found is None:
            assert (
                case["port"] == "0"
                or not re.fullmatch(r"[\w.-]*\w|\[.*", case["hostname"].rstrip("."))
                or (case["hostname"] == "foo.09..")
            ), case
        else:
            assert found == canonical(case["href"]), case
            same += found == case["href"].partition("#")[0]
    assert same > 170
