"""What trafilatura is given of a page: no likely text is lost, whatever is cut out around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text
from tasks.corpus.clean.html.blocks import blocks_of, canonical
from tasks.corpus.clean.html.likely import likely_part
from tests.tasks.corpus.clean.html.test_blocks import documents


def texts(source: bytes) -> list[str]:
    blocks = blocks_of(source)
    text = blocks.text.tobytes()
    return [text[a:b].decode() for a, b in zip(blocks.start, blocks.end, strict=True)]


def part(html: str, scores: list[float]) -> tuple[str, list[str]]:
    source = canonical(HTMLTree.parse(html))
    left = likely_part(source, blocks_of(source), np.array(scores, dtype=np.float32))
    return left.decode(), texts(left)


@given(documents, st.randoms(use_true_random=False))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_no_likely_text_is_lost(html, random):
    source = canonical(HTMLTree.parse(html.encode("utf-8", "replace").decode()))
    before = texts(source)
    scores = np.array([random.choice([0.0, 0.05, 0.1, 1.0]) for _ in before], dtype=np.float32)
    left = likely_part(source, blocks_of(source), scores)
    assert len(left) <= len(source) + source.count(b"<")
    words = iter(" ".join(texts(left)).split())
    likely = [word for text, score in zip(before, scores, strict=True) if score >= 0.1 for word in text.split()]
    assert all(word in words for word in likely), "the words that are likely are there in their order"
    if not likely:
        assert left == source or not any(text.split() for text in before)


def test_menus_and_what_is_never_seen_go_with_all_they_hold():
    html = (
        "<head><title>t</title></head><ul><li><a href=x>menu</a><li>more</ul><svg><g></g></svg><p>the <b>text</b></p>"
    )
    source, left = part(html, [0.0, 0.01, 0.9])
    assert left == ["the text"]
    assert not any(name in source for name in ("title", "<ul", "<li", "svg", "menu"))


def test_what_stood_apart_stays_apart():
    assert part("<div>one<div>two</div>three</div>", [1, 0, 1])[1] == ["one three"]


def test_a_row_keeps_its_columns():
    html = "<table><tr><td>a</td><td>b</td><td>c</td></tr><tr><td>d</td><td>e</td><td>f</td></tr></table>"
    assert part(html, [1, 0, 1, 0, 0, 0])[1] == ["a", "b", "c"]


def test_a_page_of_unlikely_blocks_comes_back_whole():
    assert part("<p>a</p><p>b</p>", [0, 0])[1] == ["a", "b"]


def test_an_article_that_the_model_doubts_is_asked_about():
    paragraphs = "".join(f"<p>{'Word of the text, number and so on. ' * 9}{n}.</p>" for n in range(8))
    links = "".join(f"<li><a href=/{n}>Link number {n}</a>" for n in range(60))
    html = f"<nav><ul>{links}</ul></nav><article><h1>Title</h1>{paragraphs}</article><footer><ul>{links}</ul></footer>"
    found = html_to_text(html, CleanConfig(ask_below=1.0)).text
    assert found.count("Word of the text") == 72
    assert "Link number" not in found


PARAGRAPHS = [f"Paragraph number {n} of the text: {'words of it, ' * 20}and so on." for n in range(9)]
LINKS = "".join(f"<li><a href=/{n}>Link number {n}</a></li>" for n in range(40))
PAGE = (
    "<head><title>Title</title><meta property='og:type' content='article'></head>"
    f"<nav><ul>{LINKS}</ul></nav><article><h1>Title</h1>{''.join(f'<p>{p}</p>' for p in PARAGRAPHS)}</article>"
    f"<footer><ul>{LINKS}</ul></footer>"
)


@pytest.mark.parametrize("mode", ["auto", "quality"])
def test_a_fraction_of_the_text_is_not_taken_for_it(mode, monkeypatch):
    monkeypatch.setattr("trafilatura.extract", lambda source, **_: PARAGRAPHS[0])
    text = html_to_text(PAGE, CleanConfig(extraction=mode, ask_below=1.0)).text
    assert all(paragraph in text for paragraph in PARAGRAPHS)
    assert "Link number" not in text


def test_where_its_own_rules_find_little_trafilatura_is_asked_for_its_fall_backs(monkeypatch):
    monkeypatch.setattr(
        "trafilatura.extract", lambda source, *, fast, **_: PARAGRAPHS[0] if fast else "\n".join(PARAGRAPHS[1:])
    )
    assert html_to_text(PAGE, CleanConfig(ask_below=1.0)).text == "\n".join(PARAGRAPHS[1:])


def test_most_of_the_text_is_an_answer(monkeypatch):
    monkeypatch.setattr("trafilatura.extract", lambda source, **_: "\n".join(PARAGRAPHS[:6]))
    for mode in ("auto", "quality"):
        text = html_to_text(PAGE, CleanConfig(extraction=mode, ask_below=1.0)).text
        assert text == "\n".join(PARAGRAPHS[:6])
