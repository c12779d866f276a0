"""Dates as machines and readers write them, and the one of publication that a page shows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text
from tasks.corpus.clean.html.dates import iso_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2019-10-24", "2019-10-24"),
        ("2019", "2019"),
        ("2019-10-24 08:00", "2019-10-24T08:00"),
        ("2019-10-24T08:00:00.5+0200", "2019-10-24T08:00:00.5+0200"),
        ("20191024", "2019-10-24"),
        ("Thu, 24 Oct 2019 08:00:00 GMT", "2019-10-24T08:00:00+00:00"),
        ("2019/10/24", "2019-10-24"),
        ("Thu, 10/24/2019 - 11:38", "2019-10-24"),
        ("24/10/2019", "2019-10-24"),
        ("24.10.2019", "2019-10-24"),
        ("October 24, 2019", "2019-10-24"),
        ("on Thursday October 24, 2019 @08:00PM", "2019-10-24"),
        ("Published on Oct. 24th, 2019", "2019-10-24"),
        ("24. März 2019, 10 Uhr", "2019-03-24"),
        ("1er août 2020", "2020-08-01"),
        ("12 de marzo de 2021", "2021-03-12"),
        ("le 5 juil. 2022", "2022-07-05"),
        ("2025年12月18日", "2025-12-18"),
        ("3-Dec-2020", "2020-12-03"),
        ("2019-13-01", None),
        ("0001-01-01T00:00:00Z", None),
        ("10/11/12", None),
        ("10/11/2012", None),  # October or November?
        ("Mayor 12, 2020", None),
        ("version 1.2.2024.5", None),
        ("5 jui 2020", None),
        ("32 May 2020", None),
        ("May 2020", None),
        ("yesterday", None),
        (f"{'word ' * 30} May 5, 2020", None),
    ],
)
def test_dates(text, date):
    assert iso_date(text) == date


@given(st.text(max_size=60), st.integers(0, 99), st.integers(0, 9999))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_text_is_survived(text, day, year):
    for written in (text, f"{text} {day}. {text} {year}", f"{day}/{day}/{year}", f"{text[:4]} {day}, {year}"):
        date = iso_date(written)
        assert date is None or date[:2] in ("19", "20", "21")


def shown(body: str, head: str = "", url: str = "https://example.org/a") -> str | None:
    page = f"<html><head><title>On bread</title>{head}</head><body>{body}</body></html>"
    return html_to_text(page, CleanConfig(), url).about.date


TEXT = "<p>Bread, that is what people in the town say, was baked first on 1 May 1999, as everybody knows.</p>" * 9
OTHERS = "<ul><li>March 3, 2003: <a href=x>another page</a></li></ul>"


@pytest.mark.parametrize(
    "body",
    [
        f"{OTHERS}<h1>On bread</h1><div>By Ann</div><div>Oct 24, 2019 · 5 min</div>{TEXT}",
        f"<h1>On bread</h1><p>Updated: 5 May 2020</p><p>Published: 24 October 2019</p>{TEXT}",
        f"<h1>On bread</h1><time datetime='2019-10-24'>three years ago</time>{TEXT}{OTHERS}",
        f"<h1>On bread</h1><time>24 October 2019</time>{TEXT}",
        f"<div>24 October 2019</div><h1>On bread</h1>{TEXT}",
        f"<p>x</p><span itemprop='datePublished'>October 24, 2019</span>{TEXT}",
        f"<div itemscope><meta itemprop=dateCreated content='2019-10-24'></div>{TEXT}",
        f"<time itemprop='datePublished' datetime='2019-10-24'>last year</time>{TEXT}",
    ],
)
def test_the_date_that_a_page_shows(body):
    assert shown(body) == "2019-10-24"


@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        f"<h1>On bread</h1>{TEXT}",  # a date in a sentence tells nothing
        f"<h1>On bread</h1><p>Last updated: 5 May 2020</p>{TEXT}",
        f"<h1>On bread</h1>{TEXT}{TEXT}<div>24 October 2019</div>",
        f"<h2>24 October 2019</h2>{TEXT}",
    ],
)
def test_dates_that_are_not_of_publication(body):
    assert shown(body) is None


def test_what_a_page_declares_comes_first():
    head = "<meta property='article:published_time' content='2019-10-23T22:00:00Z'>"
    assert shown(f"<h1>On bread</h1><p>24 October 2019</p>{TEXT}", head) == "2019-10-23T22:00:00Z"
    assert shown(TEXT, "<meta name=published-date content='October 24, 2019'>") == "2019-10-24"


def test_the_address_has_the_last_word():
    assert shown(TEXT, url="https://example.org/2019/10/24/bread") == "2019-10-24"
    assert shown(TEXT, url="https://example.org/blog/2019-10-24-bread.html") == "2019-10-24"
    assert shown(TEXT, url="https://example.org/2019/13/24/bread") is None
    assert shown(TEXT, url="https://example.org/2019/10/245") is None
