"""Pages whose text lies in <noscript>, and pages that only advise to allow scripts there."""

from __future__ import annotations

import pytest

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text

POSTS = "".join(
    f"<div class='topic-body'><div class='post'><p>Post number {n} says what its author thinks about the matter, in a "
    f"sentence or two, and why it is so.</p></div></div>"
    for n in range(12)
)
MENU = "".join(f"<li><a href='/c/{n}'>Category {n}</a></li>" for n in range(8))
HEAD = "<head><title>A thread</title><noscript><style>p {color: red}</style></noscript></head>"


@pytest.mark.parametrize("mode", ["auto", "fast", "quality", "all_text"])
def test_text_for_browsers_without_scripts_is_the_text_of_the_page(mode):
    page = f"<html>{HEAD}<body><noscript data-path='/t/1'><header>The forum</header>{POSTS}</noscript><p>1</p></body>"
    text = html_to_text(page, CleanConfig(extraction=mode)).text
    assert all(f"Post number {n} says" in text for n in range(12))
    assert "color" not in text


@pytest.mark.parametrize("mode", ["auto", "fast", "quality", "all_text"])
def test_beside_text_that_is_shown_it_is_not_shown(mode):
    page = (
        f"<html>{HEAD}<body><ul>{MENU}</ul>{POSTS}<noscript><p>Allow scripts to see the offers.</p></noscript></body>"
    )
    text = html_to_text(page, CleanConfig(extraction=mode)).text
    assert "Post number 3 says" in text
    assert "Allow scripts" not in text


def test_the_advice_to_allow_scripts_is_no_text():
    page = "<body><noscript>You need to enable JavaScript to run this app.</noscript><div id=root></div></body>"
    assert html_to_text(page, CleanConfig()).text == ""
