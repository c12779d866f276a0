"""corpus/clean/html/xhtml.py: XHTML is read as an XML parser would, and what only calls itself so loses nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.html.xhtml import as_html, is_declared
from tasks.corpus.clean.page import clean_page

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
TEXT = "Here is a sentence that somebody wrote, with commas, and with an end, long enough for everybody."
MODES = pytest.mark.parametrize("mode", ["auto", "fast", "quality", "all_text"])


@pytest.mark.parametrize(
    ("xml", "html"),
    [
        ('<script src="x.js"/>a', '<script src="x.js"></script>a'),
        ("<title/>a<textarea rows='1' />b<br/>c<a id='x'/>d", None),
        ("a<![CDATA[b < c && d > e]]>f", "ab &lt; c &amp;&amp; d &gt; ef"),
        ("<script><![CDATA[ '</script>' ]]></script>a<style>b</style>", "<script></script>a<style>b</style>"),
        ("a<?php b > c ?>d<?e", "ad"),
        ("<!DOCTYPE html [<!ENTITY a ']>'> ]>b<!DOCTYPE c [", "<!DOCTYPE html >b<!DOCTYPE c ["),
        ("a<br></br>b<img src='x'></img>c", "a<br>b<img src='x'>c"),
        ("<h:html xmlns:h='http://www.w3.org/1999/xhtml'><h:p>a</h:p><h:i/></h:html>", None),
        ("a<!-- b --!> > -- ->c-->d", "a<!>d"),
        ("a<![CDATA[b", "ab"),
        ("<p>if a<b then 3 < 4", "<p>if a<b then 3 < 4"),
    ],
)
def test_html_of_xhtml(xml: str, html: str | None) -> None:
    if html is None:
        html = {
            "<t": "<title></title>a<textarea rows='1' ></textarea>b<br/>c<a id='x'></a>d",
            "<h": "<html xmlns:h='http://www.w3.org/1999/xhtml'><p>a</p><i></i></html>",
        }[xml[:2]]
    assert as_html(xml) == html


@MODES
@pytest.mark.parametrize(
    ("mime", "declaration"),
    [("application/xhtml+xml", ""), ("text/html", DECLARATION), ("application/xhtml+xml", DECLARATION)],
)
def test_a_page_of_xhtml_keeps_its_text(mode: str, mime: str, declaration: str) -> None:
    page = (
        f"{declaration}<html xmlns='http://www.w3.org/1999/xhtml'><head><title>T</title><script src='x.js'/></head>"
        f"<body><h1>Head</h1><p>{TEXT}</p><p>{TEXT.replace('Here', 'There')}</p>"
        f"<p>If <![CDATA[a < b && c > d]]>, {TEXT}</p>"
        f"<p>{TEXT.replace('Here', 'Elsewhere')}</p></body></html>"
    )
    cleaned = clean_page(page.encode(), mime, "utf-8", None, CleanConfig(extraction=mode))
    assert cleaned.title == "T"
    assert f"If a < b && c > d, {TEXT}" in cleaned.text
    assert "Elsewhere is a sentence" in cleaned.text


def test_html_is_no_xhtml() -> None:
    page = f"<!DOCTYPE html><script src='x.js'/>{TEXT}</script><p>End of the page."
    assert (
        clean_page(page.encode(), "text/html", None, None, CleanConfig(extraction="all_text")).text
        == "End of the page."
    )
    assert is_declared("\ufeff\n<?xml version='1.0'?>")
    assert not is_declared("<?xml-stylesheet href='x'?>")
    assert not is_declared("<p><?xml version='1.0'?>")


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<script>", "</script>", "<a/>", "<!DOCTYPE x [", "&"]
        )
        | st.text(max_size=4),
        max_size=12,
    ).map("".join)
)
def test_any_text_is_taken(page: str) -> None:
    as_html(page).encode()


@pytest.mark.parametrize(
    "piece", ["<!--", "<![CDATA[", "<?", "<a b='", "<!DOCTYPE a [", "<script>", "<script><![CDATA[", "<a/>"]
)
def test_time_is_linear(piece: str) -> None:
    as_html("")  # is compiled
    started = time.process_time()
    as_html(piece * 100_000)
    assert time.process_time() - started < 5  # it takes milliseconds
