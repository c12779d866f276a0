"""tasks/clean/html/source.py: what nobody sees is taken out, and what is seen stays, however broken the source."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clean.config import CleanConfig
from tasks.clean.extract import html_to_text
from tasks.clean.html.source import seen_of

SVG = "<svg viewBox='0 0 1 1'><title>an icon</title><path d='M0 0'/></svg>"


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        (f"<p>a{SVG}b</p>", "<p>ab</p>"),
        ("a<!-- <p>no --> b<STYLE >p{}</style >c", "a bc"),
        ("a<script>if (1 < 2) '</p>'</SCRIPT\n>b", "ab"),
        ("a<template><p>no</template>b<svgx>c</svgx>", "ab<svgx>c</svgx>"),
        # never closed: it stays, and what follows is looked at
        ("a<script>b<style>p{}</style>c", "a<script>bc"),
        (f"<svg><p>text</p>{SVG}<p>more</p>", "<svg><p>text</p><p>more</p>"),
        (f"<p title='<svg'>text</p>{SVG}<p>more</p>", None),
        (f"<img alt='<svg '><p>text</p>{SVG}<p>more</p>", "<img alt='<svg '><p>text</p><p>more</p>"),
        ("a<!--b", "a<!--b"),
    ],
)
def test_what_is_seen(html: str, seen: str | None) -> None:
    assert seen_of(html).seen == (html.replace(SVG, "") if seen is None else seen)


def test_linked_data_is_kept_apart() -> None:
    data = '<script type="application/ld+json">{"@type": "Article"}</script>'
    source = seen_of(f"a{data}b<script>c</script>d{data}")
    assert (source.seen, source.linked) == ("abd", data * 2)


@pytest.mark.parametrize("before", ["<svg>", "<svg width=1 ", "<p title='<svg'>", "<script>", "<template>", "<!--"])
def test_what_is_opened_and_never_closed_swallows_no_text_before_the_next_one(before: str) -> None:
    text = "Here is a sentence that somebody wrote, with commas, and with an end."
    html = f"{before}</p><p>{text}</p>{SVG if 'svg' in before else ''}<p>{text}</p>"
    if "svg" in before:
        assert html_to_text(html, CleanConfig()).text.count(text) >= 1
    assert text in seen_of(html).seen


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<svg>", "</svg>", "<SVG ", "<!--", "-->", "<script>", "</script>", "<style ", ">", "a", "<p>"]
        ),
        max_size=12,
    ).map("".join)
)
def test_it_ends_and_only_takes_out(html: str) -> None:
    seen = seen_of(html).seen
    place = 0
    for letter in seen:  # a subsequence
        place = html.index(letter, place) + 1
