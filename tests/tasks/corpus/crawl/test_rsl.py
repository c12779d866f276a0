"""RSL licences: what their terms come to, for which pages, and where pages, headers and feeds name them."""

from __future__ import annotations

import time

import pytest

from tasks.corpus.crawl.rsl import licences_in_headers, licences_in_page, parse_rsl, said_in_feed, said_of

NS = 'xmlns="https://rslstandard.org/rsl"'


@pytest.mark.parametrize(
    ("inside", "train"),
    [
        ('<prohibits type="usage">ai-train</prohibits>', "deny"),
        ('<prohibits type="usage">search ai-all</prohibits>', "deny"),
        ("<prohibits>train-ai</prohibits>", "deny"),
        ('<prohibits type="usage">search</prohibits>', "unknown"),
        ('<permits type="usage">ai-train</permits>', "allow"),
        ('<permits type="usage">all</permits><payment type="free"/>', "allow"),
        ('<permits type="usage">ai-all</permits><prohibits type="usage">ai-train</prohibits>', "deny"),
        ('<permits type="usage">search</permits>', "deny"),
        ('<permits type="usage">ai-train</permits><payment type="subscription"/>', "deny"),
        ('<permits type="usage">ai-train</permits><payment type="attribution"/>', "deny"),
        ('<permits type="usage">ai-train</permits><payment><standard>https://c.example/l</standard></payment>', "deny"),
        ('<permits type="usage">ai-train</permits><payment><amount currency="USD">0.00</amount></payment>', "deny"),
        ('<permits type="usage">ai-train</permits><payment type="free"><amount>0</amount></payment>', "allow"),
        ('<permits type="usage">ai-train</permits><reporting type="audit" profile="https://x"/>', "deny"),
        ('<permits type="usage">ai-train</permits><permits type="user">non-commercial</permits>', "unknown"),
        ('<payment type="crawl"/>', "deny"),
        ('<payment type="free"/>', "allow"),
        ("", "unknown"),
        ('<permits type="usage">search</permits></license><license><permits type="usage">ai-train</permits>', "allow"),
        ('<permits>ai-train</permits></license><license><permits>all</permits><payment type="use"/>', "deny"),
    ],
)  # fmt: skip
def test_terms_of_a_licence(inside, train):
    for prefix, space in (("", NS), ("rsl:", NS.replace("xmlns", "xmlns:rsl"))):
        text = f'<rsl {space}><content url="/"><license>{inside}</license></content></rsl>'
        if prefix:
            text = text.replace("</", "</rsl:").replace("<", "<rsl:").replace("<rsl:/rsl:", "</rsl:")
        (terms,) = parse_rsl(text.encode())
        assert terms.train == train, text


@pytest.mark.parametrize(
    ("page", "train"),
    [
        ("https://h/x", "deny"),
        ("https://h/open/x", "allow"),
        ("https://h/paid/x", "deny"),
        ("https://h/a.pdf", "allow"),
        ("https://other/x", "deny"),
        ("https://other/open/x", "allow"),
    ],
)
def test_the_closest_content_counts(page, train):
    def content(url: str, offer: str) -> str:
        return f'<content url="{url}"><license>{offer}</license></content>'

    no, yes = '<prohibits type="usage">all</prohibits>', '<permits type="usage">all</permits>'
    text = content("/", no) + content("/open/", yes) + content("https://h/*.pdf$", yes)
    text += '<content url="/paid/" server="https://l.example/"><license>' + yes + "</license></content>"
    assert said_of(parse_rsl(f"<rsl {NS}>{text}</rsl>".encode()), page, "x", "l").train == train


def test_a_bomb_of_entities_and_deep_nesting_are_harmless():
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE rsl [<!ENTITY a0 "ai-train ">{entities}<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    bomb += f"<rsl {NS}><content url='/'><license><prohibits>&a9;&x; ai-train</prohibits></license></content></rsl>"
    started = time.process_time()
    found = parse_rsl(bomb.encode())
    assert all("root" not in terms.words and len(terms.words) < 200 for terms in found)
    parse_rsl(b"<rsl>" + b"<content>" * 100_000)
    parse_rsl(b"<" * 900_000)
    assert time.process_time() - started < 5
    assert parse_rsl(b"") == parse_rsl(b"\xff\xfe<") == parse_rsl(b"not xml") == []


def test_links_to_licences():
    header = [
        '<https://h/l.xml>; rel="license"; type="application/rsl+xml", '
        '</m.xml>; type=application/rsl+xml; rel="up license"',
        "<https://cc.example/by>; rel=license",
    ]
    assert licences_in_headers(header, "https://h/a") == ["https://h/l.xml", "https://h/m.xml"]
    page = (
        b'<!-- <link rel=license type="application/rsl+xml" href=/no.xml> --><title>"<link></title>'
        b"<script>'<link rel=license type=application/rsl+xml href=/no2.xml>'</script>"
        b"<LINK title='a>b' HREF=\"/l.xml?a=1&amp;b=2\" type='application/rsl+xml; charset=utf-8' rel='License'>"
        b'<script type="application/rsl+xml"><rsl ' + NS.encode() + b'><content url="https://first.example/x"><license>'
        b'<prohibits type="usage">ai-train</prohibits></license></content></rsl></script>'
    )
    links, terms = licences_in_page(page, "https://h/a")
    assert links == ["https://h/l.xml?a=1&b=2"]
    assert [one.train for one in terms] == ["deny"]
    started = time.process_time()
    for body in (
        b"/rsl" + b"<link " * 200_000,
        b'/rsl<link "' * 90_000,
        b"/rsl<script>" * 90_000,
        b"/rsl<!--" * 90_000,
    ):
        licences_in_page(body, "https://h/a")
    assert time.process_time() - started < 10


def test_terms_in_feeds():
    def item(link: str, terms: str) -> str:
        content = f'<rsl:content url="{link}"><rsl:license>{terms}</rsl:license></rsl:content>'
        return f"<item><link>{link}</link>{content}</item>"

    no, yes = '<rsl:prohibits type="usage">all</rsl:prohibits>', '<rsl:permits type="usage">all</rsl:permits>'
    items = (
        item("https://h/no", no) + item("https://h/yes", yes) + item("https://o/no", no) + item("https://o/yes", yes)
    )
    feed = f'<rss version="2.0" xmlns:rsl="https://rslstandard.org/rsl"><channel>{items}</channel></rss>'
    said = [(page, one.train) for page, one in said_in_feed(feed.encode(), "https://h/feed")]
    assert said == [("https://h/no", "deny"), ("https://h/yes", "allow"), ("https://o/no", "deny")]
