"""Lines of text: items, cells, code, definitions, headings."""

from __future__ import annotations

import numpy as np
import pytest
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.html.blocks import blocks_of, canonical
from tasks.corpus.clean.html.render import render


def text_of(html: str) -> str:
    blocks = blocks_of(canonical(HTMLTree.parse(html)))
    return render(blocks, np.ones(len(blocks), dtype=bool), 4)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>one<ul><li>inner</li></ul><li><p>two</p><p>more</p></ul>", "- one\n  - inner\n- two\n  more"),
        ("<ol><li>a<br>b<li>c</ol>", "1. a\n   b\n2. c"),
        ("<table><tr><td>1<td><b>2</b><tr><td>3<td>4</table>", "1\t2\n3\t4"),
        ("<table><tr><td><p>a<p>b<td>c</table>", "a\n\nb\n\nc"),
        ("<pre>  x = [\n\n    1]\n</pre>", "  x = [\n\n    1]"),
        ("<pre><span>def</span> f():<br>    pass</pre>", "def f():\n    pass"),
        ("<div>one</div><div>two <i>2</i>&amp;&lt;b&gt;</div>", "one\ntwo 2&<b>"),
        ("<h2>Head</h2><p>a<p>b", "Head\n\na\n\nb"),
        ("<dl><dt>t<dd>d<br>e<dl><dt>u<dd>f</dl></dl>after", "t\n    d\n    e\n    u\n        f\n\nafter"),
        ("<dd>no list</dd>", "no list"),
        ("<p>a  <a href=x> b </a>c\n d</p><!-- <p>no --><script>'<p>no'</script>", "a b c d"),
        ("中文<b>字</b>。<wbr>x<custom-element>y</custom-element>", "中文字。x\ny"),
        ("", ""),
    ],
)
def test_lines(html, text):
    assert text_of(html) == text


def test_only_what_is_kept_is_written():
    blocks = blocks_of(canonical(HTMLTree.parse("<p>a<p>b<p>c")))
    assert render(blocks, np.array([True, False, True]), 4) == "a\n\nc"
