"""What pages say about themselves, and what they only pretend.

Also covers: tasks/corpus/clean/html/byline.py
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.html.blocks import canonical
from tasks.corpus.clean.html.metadata import Metadata, declared, metadata

URL = "https://www.example.org/news/a.html"


def about(html: str, url: str | None = URL) -> Metadata:
    return metadata(declared(canonical(HTMLTree.parse(html)), html), url)


def test_meta_tags_and_links():
    found = about(
        "<html lang=pt_BR><head><meta name=author content='Ann &amp; Bob'><meta property='article:published_time' "
        "content='2019-10-24T08:00:00Z'><link rel=canonical href='/news/a'></head>"
        "<body><a rel='license nofollow' href='https://creativecommons.org/licenses/by/4.0/'>CC BY</a>"
    )
    assert found == Metadata(
        "pt-BR", "Ann & Bob", "2019-10-24T08:00:00Z", "https://creativecommons.org/licenses/by/4.0/",
        "https://www.example.org/news/a",
    )  # fmt: skip


def test_linked_data():
    data = {"@graph": [{"@type": "Article", "author": [{"name": "A"}, {"name": "B"}], "datePublished": "2020-01-02"}]}
    found = about(f"<script type='application/ld+json'>{json.dumps(data)}</script>")
    assert (found.author, found.date) == ("A; B", "2020-01-02")


@pytest.mark.parametrize(
    ("body", "author"),
    [
        (
            "<p>By <span itemprop=author itemscope><a href=x><b itemprop=name>Ann &amp; Bob</b></a>, editor</span>",
            "Ann & Bob",
        ),
        ("<div itemprop='author'><meta itemprop='name' content='Ann'><a href=x>profile</a></div>", "Ann"),
        ("<meta itemprop=author content=Ann><i itemprop=author>Bob</i>", "Ann"),
        ("<p>By <a href=/ann rel=author>Ann <i>Smith</i></a></p><p><a href=/ann rel=author>Ann Smith</a>", "Ann Smith"),
        ("<a href=/ann rel=author>Ann</a> and, elsewhere, <a href=/bob rel=author>Bob</a>", None),
        ("<link itemprop=author href='https://example.org/ann'><span itemprop=author></span>", None),
        (f"<div itemprop=author>{'What Ann has to say about it. ' * 9}</div>", None),
        ("<p>By Ann Smith</p>", None),
    ],
)
def test_the_author_that_a_page_shows(body, author):
    assert about(body).author == author


def test_half_a_pair_of_surrogates_in_linked_data_becomes_text():
    data = {"@type": "Article", "author": "A \ud800 \U0001f600", "license": "https://example.org/\udfff"}
    found = about(f"<script type='application/ld+json'>{json.dumps(data)}</script>")
    assert (found.author, found.licence) == ("A \ufffd \U0001f600", "https://example.org/\ufffd")


@pytest.mark.parametrize(
    ("href", "canonical"),
    [
        ("https://example.org/a", "https://example.org/a"),
        ("https://m.example.org/a", "https://m.example.org/a"),
        ("https://evil.com/a", None),
        ("javascript:alert(1)", None),
        ("https://example.org:port/", None),
        ("http://[", None),
        ("", None),
        ("//www.example.org/b", "https://www.example.org/b"),
    ],
)
def test_a_page_speaks_only_for_its_own_site(href, canonical):
    assert about(f"<link rel=canonical href='{href}'>").canonical_url == canonical


def test_what_is_not_said_is_not_guessed():
    assert about("<p>By Ann Smith, 24 October 2019</p>") == Metadata()


@given(st.text(max_size=60), st.text(max_size=60))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_any_declarations_are_survived(a, b):
    html = f"<meta name=author content={a!r}><meta name=date content={b!r}><link rel=canonical href={a!r}>"
    html += f"<script type='application/ld+json'>{{'a': {b!r}</script><time pubdate datetime={a!r}>"
    about(html.encode("utf-8", "replace").decode(), None)
