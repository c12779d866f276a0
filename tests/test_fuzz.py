"""Every parser of untrusted input under mutated input: none raises what it does not name, none hangs.

One case for each parser, of as many inputs on each machine, the same ones in each run. A longer hunt goes further:
`TEXTMILL_FUZZ_INPUTS=20000 .venv/bin/python -m pytest tests/test_fuzz.py`. A failure says its number:
`TEXTMILL_FUZZ_FIRST=<number>` begins there, and anywhere else for inputs that no run has seen.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import gzip
import io
import itertools
import json
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.recipe.errors import RecipeError
from flows.recipe.load import RECIPES, load_recipe
from tasks.corpus.benchmarks.formats import read_hellaswag, read_mmlu
from tasks.corpus.clean import encoding
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import NotExtractable, html_to_text
from tasks.corpus.crawl.decode import BrokenEncoding, TooLarge
from tasks.corpus.crawl.feeds import is_feed, parse_feed
from tasks.corpus.crawl.links import MAX_LINKS, links_of
from tasks.corpus.crawl.robots import Rules
from tasks.corpus.crawl.robots_meta import parse_tdmrep, reservation, robots_directives
from tasks.corpus.crawl.rsl import licences_in_headers, licences_in_page, parse_rsl, said_in_feed, said_of
from tasks.corpus.crawl.sitemaps import MAX_URLS, Entry, is_sitemap, parse_sitemap
from tasks.corpus.crawl.urls import canonical, host_of
from tasks.stage import PermanentError
from tests.tasks.corpus.clean.html.test_metadata import about
from tests.tasks.corpus.clean.test_extract import ARTICLE, FOOTER, NAVIGATION
from tests.tasks.corpus.crawl.reading import read
from tests.tasks.corpus.crawl.test_archives import ARC_START, arc_record, page, warc_record
from tests.tasks.corpus.crawl.test_decode import CODECS, PACKED, decode
from tests.tasks.corpus.crawl.test_feeds import rss
from tests.tasks.corpus.crawl.test_fetch import CHUNKED as CHUNKED_ANSWER
from tests.tasks.corpus.crawl.test_fetch import HEAD as ANSWER
from tests.tasks.corpus.crawl.test_fetch import get
from tests.tasks.corpus.crawl.test_sitemaps import MAP

INPUTS = int(os.environ.get("TEXTMILL_FUZZ_INPUTS", "400"))  # for each parser
FIRST = int(os.environ.get("TEXTMILL_FUZZ_FIRST", "0"))
LONGEST, LARGEST = 10.0, 65_536  # seconds of CPU time for one input, and its bytes
URL = "http://example.org/folder/page.html"
TOKENS = (
    b"\0", b"\xed\xa0\x80", rb"\ud800", b"&#xD800;", b"\xff\xfe", b"\xef\xbb\xbf", b"\x85", b"\r\n\r\n", b"\n", b",",
    b"'", b'"', b":", b"<", b">", b"</", b"<a href='", b"<!--", b"<![CDATA[", b"<!DOCTYPE x [", b"&a;", b"AB", b"null",
    b"<script type=application/ld+json>", b"<div>" * 600, b"[" * 3000, b'{"a":' * 3000, b"charset=", b"=idna>", b"%",
    b"%00", b"@", b"//", b"../", b".", b":0/", b"[::1]", b"xn--a", b"~nx/a.yaml", b"*" * 50, b"$", b"- &x", b"-1", b"0",
    b"9" * 30, b"9" * 5000, b"1e999", b"NaN", b"Infinity", b"0001-01-01T00:00+14:00", b"9999-12-31T23:59-14:00",
    b"\xff\xff\xff\x7f", b"\x80" * 8, b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\0",
    b"PAR1", b"WARC/1.0\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: br\r\n",
)  # fmt: skip
Parser = Callable[[bytes, Path], object]  # tests one input, in a folder; returns whether it was understood


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """Return input `number`: the seeds as they are, then with one to sixteen slices flipped, cut, repeated, spliced."""
    if number < len(seeds):
        return seeds[number]
    chance = random.Random(number)
    data, other = chance.choice(seeds), chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        size = chance.choice((0, 1, 1, 1, 4, 40, 1000, LARGEST))
        old, token = data[at : at + size], chance.choice(TOKENS)
        flipped = bytes(byte ^ 1 << chance.randrange(8) for byte in old[:4]) + old[4:]
        new = chance.choice((flipped, b"", old * 2, old * 30, other[chance.randrange(len(other)) :], token, token))
        data = (data[:at] + new + data[at + size :])[:LARGEST]
    return data


def robots(data: bytes, _: Path) -> object:
    rules = Rules.parse(200, data, b"", "textmill")
    assert rules.delay >= 0 and isinstance(rules.allows(URL + "?b=%20*$"), bool)  # noqa: PT018
    return rules.parser and isinstance(rules.sitemaps, list)


def listed(entries: tuple[Entry, ...]) -> object:
    """Check what a sitemap or a feed names."""
    assert len(entries) <= MAX_URLS
    assert all(canonical(entry.url) == entry.url for entry in entries)
    assert all(entry.lastmod is None or math.isfinite(entry.lastmod) for entry in entries)
    return entries


def directives(data: bytes, _: Path) -> object:
    found = links_of(URL, data, data[:50].decode("latin-1"), agent="textmill")
    assert all(canonical(url) == url for url in found.urls[: MAX_LINKS + 1])
    said = robots_directives([data.decode("latin-1"), *found.robots.get("robots", ())], "textmill")
    rules = parse_tdmrep(data)
    reserved = reservation(found.tdm_reservation, None, rules, "/folder/" + "a" * 2000)
    assert reserved is None or reserved[0] in (True, False)
    return found.urls or said or rules


def opt_outs(data: bytes, _: Path) -> object:
    """What is said of training, wherever it may stand, is one of three answers."""
    signals = Rules.parse(200, data, b"", "textmill").signals
    links, inline = licences_in_page(data, URL)
    terms = [*parse_rsl(data, URL), *inline]
    links += licences_in_headers([data.decode("latin-1")], URL)
    said = [*signals.said("/a?b=%zz", "robots.txt"), said_of(terms, URL, "page", "it")]
    said += [statement for _, statement in said_in_feed(data, URL)]
    assert {one.train for one in (*said, *terms)} <= {"allow", "deny", "unknown"}
    assert all(canonical(link) == link for link in links)
    return signals.rules or links or terms


def address(data: bytes, _: Path) -> object:
    text = data.decode("utf-8", "surrogateescape")
    found = [url for base in (None, URL, "https://[::1]:8/?a") if (url := canonical(text, base))]
    assert all(canonical(url) == url and canonical(url, URL) == url and host_of(url) for url in found)
    return found


def body(data: bytes, _: Path) -> object:
    found = []
    for name, truncate in itertools.product(("gzip", "deflate", "br", "zstd"), (False, True)):
        with contextlib.suppress(TooLarge, BrokenEncoding):
            found.append(len(decode(name, data, 1000, truncate=truncate)) <= 1000)
    assert all(found)
    return found


def answer(data: bytes, _: Path) -> object:
    found = get(data, delay=0.0, page_seconds=5.0, max_page_megabytes=0.01)
    assert found.problem is None or (found.detail and not found.body), found
    assert len(found.body) <= 10_000
    return found.status


def source(name: str) -> Parser:
    """What reads source files of this name."""

    def parse(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        found = read(folder / name, max_page_megabytes=0.02, max_file_megabytes=1)
        assert found, "a file without a row"
        for record in found:
            assert not record.content if record.problem else record.n_bytes == len(record.content) <= 20_000, record
        return any(record.content for record in found)

    return parse


def html(mode: str, data: bytes, _: Path) -> object:
    try:
        found = html_to_text(encoding.decode(data)[0], CleanConfig(extraction=mode), URL)
    except NotExtractable as error:
        return error.reason
    return (found.title + found.text).encode()


def metadata(data: bytes, _: Path) -> object:
    found = asdict(about(encoding.decode(data)[0], URL)).values()
    return [value.encode() for value in found if value is not None]


def benchmarks(data: bytes, folder: Path) -> object:
    (folder / "test").mkdir(exist_ok=True)
    (folder / "items.jsonl").write_bytes(data)
    (folder / "test" / "a_test.csv").write_bytes(data)
    found = []
    with contextlib.suppress(PermanentError):
        found += [0 <= item.label < len(item.endings) for item in read_hellaswag(folder / "items.jsonl")]
    with contextlib.suppress(PermanentError):
        found += [0 <= item.answer < len(item.choices) == 4 for item in read_mmlu(folder)[0]]
    assert all(found)
    return found


def recipe(data: bytes, folder: Path) -> object:
    (folder / "mine.yaml").write_bytes(data)
    with contextlib.suppress(RecipeError):
        return load_recipe(folder / "mine.yaml")


def parquet(rows: list[dict[str, object]], compression: str, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, compression=compression, **options)
    return out.getvalue()


zipped = functools.partial(gzip.compress, mtime=0)  # without the time, so that the inputs are the same in each run
ROWS: list[dict[str, object]] = [{"text": f"Text {n}.", "id": n, "url": f"{URL}?{n}", "title": None} for n in range(4)]
DATED: list[dict[str, object]] = [{"text": "One.", "fetched_at": datetime.datetime(2020, 1, n)} for n in range(1, 5)]
LINES = "".join(json.dumps(row) + "\n" for row in [*ROWS, {"text": "x", "fetched_at": "2020-01-01"}]).encode()
WARC = warc_record(page("<p>one")) + warc_record(b"plain", "conversion") + warc_record(page("<p>two"))
CODED = warc_record(page("4\r\n<p>x\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n"))
CODED += warc_record(page(zipped(b"<p>packed"), "Content-Encoding: gzip\r\n"))
ARC = ARC_START + b"\n" + arc_record(URL, page("<p>one")) + arc_record(URL, b"<p>two")
HEAD = (
    "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>T &amp; t</title><meta name=author content='Ä'>"
    "<meta property='article:published_time' content='2019-10-24T08:00:00Z'><link rel=canonical href='/a'><script type="
    '\'application/ld+json\'>{"@graph": [{"@type": "Article", "author": [{"name": "A"}], "datePublished": "2020-01"}]}'
    "</script></head><body>"
)
DOCUMENT = f"{HEAD}{NAVIGATION}<article>{ARTICLE}<dl><dt>a<dd>b</dl><pre>x\n y</pre></article>{FOOTER}".encode()
ITEM = b'{"ind": 1, "activity_label": "a", "ctx_a": "b", "ctx_b": "c", "ctx": "b", "endings": ["d", "e"], "label": 1}\n'
TARGETS: dict[str, tuple[Parser, *tuple[bytes, ...]]] = {
    "robots.txt": (robots, b"User-agent: *\nDisallow: /a*b$\nCrawl-delay: 2.5\nRequest-rate: 1/5s\nSitemap: http://h/\n"),
    "sitemap": (
        lambda data, _: listed(parse_sitemap(data).entries) or is_sitemap(data),
        MAP.encode(), MAP.encode("utf-16"), zipped(MAP.encode()), b"http://h/a\nhttp://h/b\n",
        b"<sitemapindex><sitemap><loc>http://h/s.xml</loc><lastmod>2020-01</lastmod></sitemap></sitemapindex>",
    ),
    "feed": (
        lambda data, _: listed(parse_feed(data, URL)) or is_feed(data),
        rss("<item><link>http://h/1</link><pubDate>Sat, 07 Sep 2002 00:00:01 GMT</pubDate></item>"),
        b"<feed xmlns='http://www.w3.org/2005/Atom' xml:base='http://h/a/'><link rel='next' href='2'/><entry><link "
        b"href='b'/><updated>2020-01-01T00:00:00Z</updated></entry></feed>",
    ),
    "opt-outs": (
        opt_outs,
        b"User-agent: *\nContent-Signal: /a ai-train=no\nContent-Usage: /b* train-ai=n;a=\"x\", b=(1 2)\nLicense: /x\n",
        b"<rsl xmlns='https://rslstandard.org/rsl'><content url='http://h/*.pdf$'><license><permits type='usage'>all"
        b"</permits><payment type='free'><amount>0</amount></payment></license></content></rsl>",
        b"<link rel=license type='application/rsl+xml' href='/l.xml'><!-- --><script type='application/rsl+xml'><rsl>"
        b"<content url=''><license><prohibits>all</prohibits></license></content></rsl></script>",
        b"<http://h/l>; rel=\"license\"; type=\"application/rsl+xml\", <b>; rel=x",
    ),
    "links and directives": (
        directives,
        b"<base href=/b/><meta charset=latin-1><a href=\xe4><meta name=robots content=noindex><a rel=nofollow "
        b"href='x?a&amp;b'><iframe src=z></iframe><!-- <a href=no> --><script>1</script><link rel=next href=/n>",
        b"googlebot: noindex, unavailable_after: 25 Jun 2010 15:00:00 PST, textmill: noai, nofollow",
        b'[{"location": "/a/*.html$", "tdm-reservation": 1}, {"location": "/", "tdm-reservation": "0"}]',
    ),
    "URL": (
        address, b"HTTP://Example.org.:080/a/../b%7e;jsessionid=1?utm_source=x&q=%e4#top", b"//0x7f.1/\xc3\xa4 b?c=d",
        "http://bücher.example/straße".encode(), b"https://[2001:db8::1]:8443/", b"../x?y",
    ),
    "content encoding": (body, *(CODECS[name][1](b"again " * 99) for name in PACKED[2:]), zipped(b"again " * 99)),
    "HTTP answer": (
        answer, CHUNKED_ANSWER + b"X : y\r\n\r\n5\nagain\n0\n\n",
        ANSWER + b"X : y\r\nContent-Length: 5, 5\r\n\r\nagain",
        ANSWER + b"Content-Encoding: gzip, gzip\r\nX : y\r\n\r\n" + zipped(zipped(b"again")),
        b"HTTP/1.1 301 Moved\r\nLocation: /new\r\nContent-Length: 0\r\nX : y\r\n\r\n<p>Moved",
    ),
    "WARC": (source("a.warc"), WARC, zipped(WARC) + WARC[:300], CODECS["zstd"][1](WARC), CODED),
    "ARC": (source("a.arc"), ARC, zipped(ARC)),
    "JSON lines": (source("a.jsonl"), LINES, zipped(LINES), CODECS["zstd"][1](LINES)),
    "JSON": (source("a.json"), json.dumps(ROWS).encode(), json.dumps(ROWS[0], indent=1).encode(), LINES),
    "CSV": (source("a.csv"), b'text,id\n"one, ""two""\n",1\nthree,2\n', b"id,text\r\n1,\xe4\r\n"),
    "Parquet": (
        source("a.parquet"), parquet(ROWS, "zstd", row_group_size=2), parquet(ROWS, "none"),
        parquet(DATED, "none", use_dictionary=False),
    ),
    "decoding": (
        lambda data, _: encoding.decode(data)[0].encode(), HEAD.encode(), "<meta charset=sjis>日本".encode("cp932"),
        "Grüße".encode("utf-16"), "An alle".encode("utf-32-le"), "日本語".encode("iso2022_jp"), b"\xcf\xf0\xe8\xe2\xe5",
    ),
    **{f"HTML {mode}": (functools.partial(html, mode), DOCUMENT) for mode in ("auto", "fast", "quality")},
    "metadata": (metadata, b"<script type='application/ld+json'>{\"author\": \"Ann\"}</script>", HEAD.encode()),
    "benchmarks": (benchmarks, ITEM, b'"a, ""b""",1,2,3,4,B\nc,1,2,3,4,A\n'),
    "recipe": (recipe, (RECIPES / "demo.yaml").read_bytes(), b"extends: demo\ncrawl: {max_pages: 5}\nname: mine\n"),
}  # fmt: skip


@pytest.mark.timeout(300 + INPUTS)
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_it_is_given_it_keeps_its_contract(name: str, tmp_path: Path) -> None:
    parse, *seeds = TARGETS[name]
    parse(seeds[0], tmp_path)  # loads and compiles what it needs
    for number in range(FIRST, FIRST + INPUTS):
        data, started = mutated(seeds, number), time.process_time()
        try:
            understood = parse(data, tmp_path)
            assert understood or number >= len(seeds), "a valid input is not understood"
            spent = time.process_time() - started
            assert spent < LONGEST, f"{spent:.0f} s for one input"
        except BaseException as error:  # a panic in Rust and the end of the time are no Exception
            (tmp_path / "input").write_bytes(data)
            words = name.replace(" and ", " ").replace(" ", " and ")
            again = f"TEXTMILL_FUZZ_FIRST={number} .venv/bin/python -m pytest tests/test_fuzz.py -k '{words}'"
            error.add_note(f"Input {number} of {name}, whole in {tmp_path}/input. Again: {again}\n{data[:400]!r}")
            raise
