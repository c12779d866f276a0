"""The links and directives in a page's bytes: quotes, entities, bases, charsets, comments, scripts, hostile pages.

Also covers: tasks/corpus/crawl/markup.py
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.crawl.links import MAX_LINKS, links_of


def paths(html: str | bytes, content_type: str | None = None) -> list[str]:
    body = html.encode() if isinstance(html, str) else html
    return [url.removeprefix("http://h/") for url in links_of("http://h/", body, content_type).urls]


def test_links_base_quotes_and_entities():
    html = """<base href="/dir/"><a href='x?a=1&amp;b=2'>x</a><A class=y HREF=z>z</A><area href="q">
    <a title="href=no" href="yes">y</a><link rel=stylesheet href=s.css><link rel="next" href="/n">
    <iframe src=f></iframe>"""
    assert paths(html) == ["dir/x?a=1&b=2", "dir/z", "dir/q", "dir/yes", "n", "dir/f"]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<!-- <a href=no>no</a> --><a href=yes>", ["yes"]),
        ("<!-- <a href=no> -- > <a href=no> --><a href=yes>", ["yes"]),
        ("<!-- <a href=no>", []),
        ("<script>'<a href=\"no\">'</script><a href=yes>", ["yes"]),
        ("<SCRIPT type=x><a href=no></Script ><a href=yes>", ["yes"]),
        ("<style><a href=no></style><textarea><a href=no></textarea><a href=yes>", ["yes"]),
        ("<template><a href=no></template><a href=yes>", ["yes"]),
        ("<title><a href=no></title><a href=yes>", ["yes"]),
        ("<a rel='nofollow noopener' href=no><a rel=noopener href=yes>", ["yes"]),
        ("<a\nhref\n=\n'yes'\n>", ["yes"]),
        ("<a href=''>", [""]),
        ("<a href='#top'><a href='yes#a'><a href='yes#b'>", ["", "yes"]),
        ("<a name=x><abbr href=no><aside href=no>", []),
        ("<a href='javascript:x()'><a href='mailto:a@b'><a href='tel:1'><a href='data:text/html,x'>", []),
        ("<a href=\" yes \n\">", ["yes"]),
        ("<base href='http://elsewhere/'><a href='no'>", ["http://elsewhere/no"]),
        ("<base href='javascript:0'><a href='yes'>", ["yes"]),
        ("<base href='/a/'><base href='b/'><a href=x>", ["a/x"]),
        ("<a href=x><base target=_top><base href='/a/'>", ["a/x"]),
        ("<base href='javascript:0'><base href='/a/'><a href=x>", ["x"]),
        ("<!--><a href=yes><!-- <a href=no> --!><a href=1><!---><a href=2><!--!> <a href=no> -->", ["yes", "1", "2"]),
        ("<![CDATA[ <a href=no> ]]><?php <a href=no> ?><!x <a href=no>></ <a href=no>><a href=yes>", ["yes"]),
        ("<script><!-- <script>'<a href=no>'</script><a href=no> --></script><a href=yes>", ["yes"]),
        ("<script><!-- '<a href=no>'</script><a href=yes>", ["yes"]),
        ("<script>'</scripts><a href=no>'</script><a href=yes>", ["yes"]),
        ("<template><template></template><a href=no></template><a href=yes>", ["yes"]),
        ("<xmp><a href=no></xmp><noscript><a href=yes></noscript><iframe src=f><a href=no></iframe>", ["yes", "f"]),
        ("<plaintext><a href=no>", []),
        ("<svg><style/><a xlink:href=1></a><a href=2 xlink:href=no></a></svg><a xlink:href=no>", ["1", "2"]),
        ("<a data-action='click->menu' href=1><a title=\"1 > 0\" href=2><a x='\"' y=\"'>\" href=3>", ["1", "2", "3"]),
        ("<a class='" + "w " * 9000 + "' href=yes>", ["yes"]),
        ("<a data-x='{\"a\": \"<a href=no>\"}' href=yes><p title='<a href=no>'>", ["yes"]),
        ("<a title='set href=no here' href=yes><a data-href=no><a title=a href=yes2 href=no>", ["yes", "yes2"]),
        ("<iframe srcdoc='<a href=no>'></iframe><a/href=1><a href=\"2\"class=b><a HREF = 3>", ["1", "2", "3"]),
        ("<p it's><a href=yes title=it's></p it's><a href=a'b>", ["yes", "a'b"]),
        ("<a href=/x?a=\"1\"&b=2>", ["x?a=%221%22&b=2"]),
        ("a < b <a href=yes> 1<2 <> </> <", ["yes"]),
        ("<a href=yes><a href=\"no>", ["yes"]),
    ],
)  # fmt: skip
def test_what_is_a_link(html, found):
    assert paths(html) == found


@pytest.mark.parametrize(
    ("html", "content_type"),
    [
        ("<a href='/straße'>".encode(), None),
        ("<a href='/straße'>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
        ("<meta charset=windows-1252><a href='/straße'>".encode("cp1252"), "text/html"),
        (
            "<meta http-equiv=content-type content='text/html; charset=latin1'><a href='/straße'>".encode("latin-1"),
            None,
        ),
        (b"<a href='/stra&szlig;e'>", "text/html; charset=utf-16"),
        ("<meta charset=no-such-charset><a href='/straße'>".encode(), None),
        ("<meta charset=idna><a href='/straße'>".encode(), None),
    ],
)
def test_links_in_the_encoding_of_the_page(html, content_type):
    assert paths(html, content_type) == ["stra%C3%9Fe"]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("?a=0&section=7", "?a=0&section=7"), ("?a&copy=1&para&lt=2", "?a&copy=1%C2%B6&lt=2"),
        ("?a&current_page=1&notit;", "?a&current_page=1&notit;"), ("?a&amp2", "?a&amp2"), ("?a&amp", "?a"),
        ("?a&copy;=1", "?a%C2%A9=1"), ("?a&copy/", "?a%C2%A9/"), ("?a&amp;copy=1", "?a&copy=1"),
        ("?a&#38;b", "?a&b"), ("?a&#38b", "?a&b"), ("?a&#x26;b", "?a&b"), ("/a&#x2F;b&#0;", "a/b%EF%BF%BD"),
        ("?a&#" + "9" * 5000 + ";", "?a%EF%BF%BD"), ("?a&none;&", "?a&none;"),
    ],
)  # fmt: skip
def test_references_in_attributes(value, read):
    assert paths(f"<a href='{value}'>") == [read]
    assert links_of("http://h/", f"<meta name=robots content='{value}'>".encode()).robots["robots"]


def test_xhtml_is_parsed_as_xml():
    html = "<script src='x.js'/><title/><![CDATA[ <a href='no'/> ]]><a href='yes'/><script>'<a href='no'>'</script>"
    assert paths(html, "application/xhtml+xml; charset=utf-8") == ["yes"]
    assert paths(html, "text/html") == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "iso2022_jp"])
def test_pages_in_which_ascii_is_not_ascii(encoding):
    html = "<!doctype html><meta charset=iso-2022-jp><p>水車小屋の話。</p><a href='/日本?q=本'>本</a>"
    assert paths(html.encode(encoding)) == ["%E6%97%A5%E6%9C%AC?q=%E6%9C%AC"]


def test_a_query_is_in_the_encoding_of_the_page():
    html = "<a href='/ü?q=ü&amp;r=&euro;#ü'>"
    assert paths(html.encode("cp1252"), "text/html; charset=ISO-8859-1") == ["%C3%BC?q=%FC&r=%80"]
    assert paths(html.encode("koi8-r", "xmlcharrefreplace"), "text/html; charset=koi8-r") == [
        "%C3%BC?q=%26%23252%3B&r=%26%238364%3B"
    ]
    assert paths(html.encode(), "text/html") == ["%C3%BC?q=%C3%BC&r=%E2%82%AC"]
    assert paths("<a href='/ü'>".encode("cp1252"), "text/html") == ["%C3%BC"]


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("0; url=docs/index.html", "docs/index.html"), ("0;URL='a b'", "a%20b"), ('5, url = "x" rest', "x"),
        ("0; /docs", "docs"), ("0 url=x", "x"), (".5;url=x", "x"), ("0;url=x&section=y", "x&section=y"),
        ("30", None), ("", None), ("url=x", None), ("0;url=", None), ("soon; url=x", None),
        ("0;url=javascript:x", None),
    ],
)  # fmt: skip
def test_where_a_refresh_leads(value, target):
    urls = [] if target is None else [f"http://h/{target}"]
    content = value.replace("&", "&amp;").replace('"', "&quot;")
    html = f'<a href=a></a><meta http-equiv=Refresh content="{content}">'
    for found in (links_of("http://h/", html.encode()), links_of("http://h/", b"<a href=a></a>", refresh=value)):
        assert found.urls == [*urls, "http://h/a"]
        assert found.refresh == (urls[0] if urls else None)


def test_directives_are_found():
    page = links_of(
        "http://h/",
        b"<meta name=ROBOTS content='noai'><meta content='nofollow' name='TextMill'>"
        b"<meta name=otherbot content=noindex><meta name='tdm-reservation' content=1>",
        agent="textmill",
    )
    assert page.robots == {"robots": ["noai"], "textmill": ["nofollow"]}
    assert page.tdm_reservation == "1"


def test_parameters_are_dropped_on_request():
    found = links_of("http://h/", b"<a href='/p?id=7&ref=top'><a href='/p?ref=side&id=7'>", drop=re.compile("ref|src"))
    assert found.urls == ["http://h/p?id=7"]


def test_a_page_of_links_is_cut():
    assert len(paths("".join(f"<a href={n}>" for n in range(MAX_LINKS + 9)))) == MAX_LINKS


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_have_links_or_none(body):
    for wrapped in (
        body,
        b'<a href="' + body,
        b'<a href="' + body + b'">',
        b"<meta " + body + b">",
        b"<base href=" + body,
    ):
        assert all(url.startswith(("http://", "https://")) for url in links_of("http://h/", wrapped).urls)


def test_hostile_pages_are_fast():
    started = time.process_time()
    for body in (
        b"<" * 3_000_000,
        b"<a " * 1_000_000,
        b"<a href=" * 300_000,
        b'<a href="' * 300_000,
        b"<!--" * 700_000,
        b"<script>" * 300_000,
        b"<SCRIPT>x</SCRIPT>" * 150_000,
        b"<a href=x>" * 100_000,
        b"<meta " + b"name=x " * 500 + b">" * 100_000,
        b"<div>" * 300_000,
    ):
        links_of("http://h/", body)
    assert time.process_time() - started < 10


ATTRIBUTES = {
    'class="a"': ("class", "a"), "class='a>b'": ("class", "a>b"), 'data-href="/1"': ("data-href", "/1"),
    "rel": ("rel", ""), 'rel="nofollow"': ("rel", "nofollow"), 'REL="Me"': ("rel", "me"),
    'relx="nofollow"': ("relx", "nofollow"),
    'href="/2"': ("href", "/2"), 'HREF="/3"': ("href", "/3"), "href='/4'": ("href", "/4"),
    'href = "/5"': ("href", "/5"),
}  # fmt: skip


@given(st.lists(st.sampled_from(sorted(ATTRIBUTES)), max_size=5))
def test_the_first_href_counts_unless_the_first_rel_says_no(attributes):
    first: dict[str, str] = {}
    for name, value in map(ATTRIBUTES.__getitem__, attributes):
        first.setdefault(name, value)
    follows = "href" in first and first.get("rel") != "nofollow"
    assert paths(f"<a {' '.join(attributes)}>") == ([first["href"].removeprefix("/")] if follows else [])
