"""The title of a page: the heading that <title> speaks of, without the name of the site."""

from __future__ import annotations

import pytest

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text

MODES = pytest.mark.parametrize("mode", ["auto", "fast", "quality", "all_text"])


def title(head: str, body: str, url: str | None = "https://www.example.org/a/b.html", mode: str = "auto") -> str:
    page = f"<html><head>{head}</head><body>{body}<p>Text of the page.</p></body></html>"
    return html_to_text(page, CleanConfig(extraction=mode), url).title


@MODES
def test_the_heading_is_the_title_in_its_own_spelling(mode):
    assert title("<title>How to bake | The Site</title>", "<h1>How to <em>bake</em> bread</h1>", mode=mode) == (
        "How to bake bread"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("How to bake bread - Example", "How to bake bread"),
        ("How to bake bread | EXAMPLE.org", "How to bake bread"),
        ("Example: How to bake bread", "How to bake bread"),
        ("How to bake bread — a guide", "How to bake bread — a guide"),
        ("How to bake bread | Recipes » Example", "How to bake bread | Recipes"),
        ("Bread &amp; butter", "Bread & butter"),
        ("self-made C++ - notes", "self-made C++ - notes"),
        ("| Example", "| Example"),
        ("", ""),
    ],
)
def test_without_a_heading_the_name_of_the_site_goes(said, expected):
    assert title(f"<title>{said}</title>", "") == expected


def test_the_site_names_itself():
    head = "<title>On bread | The Daily Loaf</title><meta property='og:site_name' content='The Daily Loaf'>"
    assert title(head, "") == "On bread"
    assert title("<title>On bread | Loaf</title><meta property='og:title' content='On bread'>", "") == "On bread"


def test_a_front_page_may_begin_with_the_name_of_its_site():
    assert title("<title>Example - all about bread</title>", "", "https://example.org/") == "Example - all about bread"


@pytest.mark.parametrize(
    "body",
    [
        "<h1>The Book of Bread</h1><h2>Sour dough</h2>",  # the name of the book, on every page of it
        "<h1>Menu</h1><h1>Sour dough ¶</h1><h1>Sour cream, and what else there is</h1>",
        "<h1><svg><title>x</title></svg></h1><h1></h1>",
        f"<h1>{'Sour dough ' * 60}</h1>",
    ],
)
def test_headings_that_are_not_the_title(body):
    assert title("<title>Sour dough - The Book of Bread</title>", body).removesuffix(" - The Book of Bread") == (
        "Sour dough"
    )


def test_a_heading_about_something_else_is_not_the_title():
    assert title("<title>Privacy policy</title>", "<h1>Build what is next</h1>") == "Privacy policy"
    assert title("", "<h1>Build what is next</h1>") == "Build what is next"
