"""tasks/corpus/clean/html/source.py: what nobody sees is taken out, and what is seen stays, as the parser sees it.

Also covers: tasks/corpus/clean/html/tokens.py
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.html.source import seen_of
from tasks.corpus.clean.html.tokens import find

SVG = "<svg viewBox='0 0 1 1'><title>an icon</title><path d='M0 0'/></svg>"


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        (f"<p>a{SVG}b</p>", "<p>ab</p>"),
        ("a<!-- <p>no --> b<STYLE >p{}</style >c", "a bc"),
        ("a<script>if (1 < 2) '</p>'</SCRIPT\n>b", "ab"),
        ("a<template><p>no<template>x</template></template>b<svgx>c</svgx>", "ab<svgx>c</svgx>"),
        # what is in an attribute, a title or a text area is no tag and no comment
        ("<meta content='How the <script> element works'><p title=\"<!--\">a", None),
        ("<title>The <style> element <!-- and <svg></title>a<textarea><script></textarea>b", None),
        ("<p a=b<script>c</p a='<!--'>d</script>e", None),
        # where comments end
        ("a<!-->b<!--->c<!-- --!>d<!-- -- > -->e<!-- <!-->f", "abcdef"),
        ("a<!-b>c</ d>e<?f>g<!doctype x>h<![CDATA[ > i", None),
        ("a<!-- never closed <p>b", "a"),
        # a script in what looks like a comment in a script, which ends at its own end tag only
        ("a<script><!-- <script> </script> b --> </script>c<script>d</scripts>e</script/>f", "acf"),
        ("a<script><!-- b</script>c<script><!--> <script> </script>d", "acd"),
        ("a<script>b<style>p{}</style>c", "a"),
        ("<iframe><script></iframe>a<xmp><!--</xmp>b<plaintext><script>c", None),
        # a drawing ends where HTML begins; what closes around it, and HTML in it, only the tree knows
        (f"<p></p><svg/>a<svg><path/><p>text</p>{SVG}<p>more</p>", "<p></p>a<svg><path/><p>text</p><p>more</p>"),
        (f"<div><svg><g></div>a{SVG}<script>b</script>", None),
        (f"<div><svg><foreignObject><p>a</p></foreignObject></svg>{SVG}", None),
        ("<p><svg><style>a</style><![CDATA[</svg>]]><title>b<c></svg>d", None),
        ("<p><math><mi>b</mi><style>c</style></math>", None),
        ("<p><svg><![CDATA[</svg>]]><g><svg/></g></SVG>a", "<p>a"),
        # what were apart stay apart
        ("a &am<!-- -->p; <<!-- -->b>", "a &am<!>p; <<!>b>"),
        # formulas are text, and what a component shows of itself too
        ("<script type='Math/TeX'>a<b</script><template shadowrootmode=open>c</template>", None),
    ],
)
def test_what_is_seen(html: str, seen: str | None) -> None:
    assert seen_of(html).seen == (html if seen is None else seen)


def test_linked_data_is_kept_apart() -> None:
    data = '<script type="application/ld+json">{"@type": "Article"}</script>'
    source = seen_of(f"a{data}b<script>c</script>d{data}")
    assert (source.seen, source.linked) == ("abd", data * 2)


_PIECES = (
    "<p>|</p>|<div title='<script>'>|<div title=\"<!--\">|<a href='x> '>|'|<script>|</script>|</SCRIPT >|"
    "<script src=x/>|<!--|-->|<!-->|<!--->|--!>|<!--x-->|<?x?>|<![CDATA[|]]>|<style>|</style>|"
    "<style type='a>b'>|<svg>|</svg>|<svg/>|<svg x=y/>|<path/>|<g>|</g>|<title>|</title>|<desc>|"
    "<foreignObject>|</foreignObject>|<math>|</math>|<mi>|</mi>|<mtext>|<textarea>|</textarea>|"
    "</textarea x>|<template>|</template>|<xmp>|</xmp>|<iframe>|</iframe>|<noscript>|</noscript>|<select>|"
    "<option>|</select>|<table>|<tr>|<td>|</table>|<b>|</b>|<font>|<font color=x>|<br>|</br>|<li>|</p/>|&|"
    '&amp|am|p;|<|&l|>|/|=|"|word|<!--<script>|--></script>|<body>|<head>|</head>|</body>|<plaintext>'
)


def visible(html: str) -> str:
    """The letters of a page, for the parser, without what nobody sees."""
    tree = HTMLTree.parse(html)
    for name in ("script", "style", "template", "svg", "title"):
        while found := tree.document.query_selector(name):
            found.decompose()
    return "".join(tree.body.text.split())


@settings(derandomize=True, max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(_PIECES.split("|")) | st.sampled_from(["one", "two"]), max_size=14), st.booleans())
def test_the_parser_sees_the_same_text_whatever_was_cut(pieces: list[str], in_body: bool) -> None:
    html = ("<body>" if in_body else "") + " ".join(pieces) + " end"
    assert visible(seen_of(html).seen) == visible(html)


@pytest.mark.parametrize(
    "hostile",
    [
        "<svg></g><script type=application/ld+json>" + "<script type=application/ld+json>" * 50_000,
        "<template>" * 100_000 + "<svg>" * 100_000,
        "<a b='" * 100_000,
        "&<!-->" * 100_000 + "<svg><![CDATA[" * 50_000,
        "<p></p>" + "<svg><g>" * 50_000 + "</svg>" * 50_000,
    ],
    ids=lambda html: html[:20],
)
def test_time_is_linear(hostile: str) -> None:
    seen_of("")  # is compiled
    started = time.process_time()
    seen_of(hostile)
    assert time.process_time() - started < 5  # it takes milliseconds


def test_depth_and_attributes() -> None:
    assert seen_of("<div><p><b>x</b><img><br>").depth == 2
    assert seen_of("<p></p>" + "<svg><path/><g><g></g></g></svg>" * 3000).depth <= 1
    assert seen_of("<svg>" * 2000).depth == 2000
    assert seen_of("<p " + "a=1 " * 1000 + ">").attributes == 1000
    assert seen_of("<p data-json='" + "a b " * 10_000 + "'>").attributes == 1


@given(st.text("ab<", max_size=200), st.text("ab<", min_size=1, max_size=6), st.integers(0, 210))
def test_a_word_is_found_where_python_finds_it(text: str, word: str, start: int) -> None:
    source = text.encode()
    assert find(source, word.encode(), start) == source.find(word.encode(), start)
