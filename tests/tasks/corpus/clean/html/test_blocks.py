"""Blocks: the text of a page and nothing lost of it, whatever comes in.

Also covers: tasks/corpus/clean/html/containers.py
Also covers: tasks/corpus/clean/html/context.py
Also covers: tasks/corpus/clean/html/features.py
Also covers: tasks/corpus/clean/html/hints.py
Also covers: tasks/corpus/clean/html/model.py
Also covers: tasks/corpus/clean/html/vocabulary.py
Also covers: tasks/corpus/clean/html/weights.py
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text
from tasks.corpus.clean.html.blocks import COUNTS, blocks_of, canonical
from tasks.corpus.clean.html.metadata import declared
from tasks.corpus.clean.html.model import Trees, judge
from tasks.corpus.clean.html.source import seen_of
from tasks.corpus.clean.html.vocabulary import HINT_NAMES, TAGS
from tasks.corpus.clean.html.xhtml import as_html

_PIECES = (
    "<p> </p> <div class='post-content'> </div> <ul> <li> <a\thref='x'> </a> <table> <tr> <td> </td> <pre> </pre> "
    "<br> <script> </script> <!-- --> <style> </style> &amp; &lt; &nbsp; &#0; <svg> <title> <dl> <dd> <article> <b> "
    "< > \" ' word 中文 é 😀 \x00 \ufffd <textarea> </textarea> <plaintext> <template> <select> <option> <x-y> "
    "<p\thidden>"
)
PIECES = st.sampled_from(_PIECES.split(" "))
documents = st.lists(PIECES | st.text(max_size=5), max_size=60).map(" ".join)


@given(documents)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_page_becomes_text(html):
    source = canonical(HTMLTree.parse(html.encode("utf-8", "replace").decode()))
    blocks = blocks_of(source)
    assert (blocks.start <= blocks.end).all()
    assert (blocks.end[:-1] <= blocks.start[1:]).all()
    assert (blocks.first <= blocks.last).all()
    assert (blocks.parent[1:] < np.arange(1, len(blocks.parent))).all()
    blocks.text.tobytes().decode("utf-8")
    judgement = judge(blocks, declared(source, html))
    assert len(judgement.keep) == len(blocks)
    assert 0 <= judgement.confidence <= 1.001
    for mode in ("auto", "quality"):
        html_to_text(html, CleanConfig(extraction=mode, ask_below=1.0))


@given(st.binary(max_size=300))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_the_scanners_themselves_survive_any_bytes(data):
    blocks_of(data)
    seen_of(as_html(data.decode("latin-1")))


def test_what_is_counted():
    html = "<div class='post-content'>One, two. <a href=x>Three 4!</a></div>"
    blocks = blocks_of(canonical(HTMLTree.parse(html)))
    assert len(blocks) == 1
    counts = dict(zip(COUNTS, blocks.counts[0].tolist(), strict=True))
    assert (counts["words"], counts["link_units"], counts["links"]) == (4, 7, 1)
    assert (counts["commas"], counts["ends"], counts["digits"], counts["upper"]) == (1, 2, 1, 2)
    element = blocks.element[0]
    assert TAGS[blocks.tag[element]] == "div"
    hints = {name for bit, name in enumerate(HINT_NAMES) if blocks.hints[element] >> bit & 1}
    assert hints == {"content", "article", "body"}


@pytest.mark.parametrize(
    ("html", "hint"),
    [
        ("<div class=commentList>x", "comment"),
        ("<div id='x-sidebar'>x", "side"),
        ("<div style='color:red;display: none'>x", "hidden"),
        ("<div hidden>x", "hidden"),
        ("<div role=navigation>x", "nav"),
    ],
)
def test_hints(html, hint):
    blocks = blocks_of(canonical(HTMLTree.parse(html)))
    assert blocks.hints[blocks.element[0]] >> HINT_NAMES.index(hint) & 1


def test_trees_are_written_as_they_are_read():
    trees = Trees(np.array([[0, 1, 1]]), np.array([[0.5, 1.25, 3.0]]), np.array([[0.1, -0.2, 0.3, 0.4]]))
    again = Trees.read(trees.write())
    assert np.allclose(again.leaf, trees.leaf)
    values = np.array([[0, 1], [0, 2], [1, 3], [1, 4]], dtype=np.float32)
    assert np.allclose(again.scores(values), 1 / (1 + np.exp(-trees.leaf[0])))
