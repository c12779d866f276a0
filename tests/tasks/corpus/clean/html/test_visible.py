"""tasks/corpus/clean/html/visible.py: what is seen of a page, each text once, and nothing that nobody sees.

Also covers: tasks/corpus/clean/html/formulas.py
Also covers: tasks/corpus/clean/html/listings.py
Also covers: tasks/corpus/clean/html/outline.py
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text
from tasks.corpus.clean.html.blocks import blocks_of, canonical
from tasks.corpus.clean.html.render import render
from tasks.corpus.clean.html.visible import visible
from tests.tasks.corpus.clean.html.test_blocks import documents

MODES = pytest.mark.parametrize("mode", ["auto", "fast", "quality", "all_text"])
LONG = "A script puts these words to their place, and shows them then. " * 30


def text_of(html: str) -> str:
    blocks = blocks_of(visible(canonical(HTMLTree.parse(html))).source)
    return render(blocks, np.ones(len(blocks), dtype=bool), 4).replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        # exponents are not part of the number before them
        ("10<sup>6</sup> and 10<sup>-6</sup> m<sup>2</sup>", "10⁶ and 10⁻⁶ m²"),
        ("H<sub>2</sub>O, SO<sub>4</sub><sup>2-</sup>, log<sub>10</sub>x", "H₂O, SO₄²⁻, log₁₀x"),
        ("word<sup><a href='#1'>1</a>,<a href='#2'>2</a></sup> end.<sup>[3]</sup>", "word¹,² end.[3]"),
        ("<i>x</i><sup><i>n</i></sup> 2<sup>n+1</sup> e<sup>-x</sup> A<sup>T</sup>", "x^n 2^(n+1) e^(-x) A^T"),
        ("x<sub>i</sub> V<sub>max</sub> a<sub>i + 1</sub> 10<sup>6.5</sup>", "x_i V_max a_(i+1) 10^6.5"),
        ("2<sup>2<sup>3</sup></sup> note<sup>a</sup> α<sup>β</sup>", "2^(2³) note^a α^β"),
        # but the end of an ordinal or an abbreviation is, and a note in small letters is one
        ("19<sup>th</sup> 1<sup>er</sup> M<sup>me</sup> X<sup>TM</sup> n<sup>o</sup>", "19th 1er Mme XTM no"),
        ("word<sup>a whole sentence in small letters</sup><sup>*</sup>", "worda whole sentence in small letters*"),
        # formulas, once
        (
            "a <math><semantics><mi>c</mi><annotation encoding='application/x-tex'>{\\displaystyle c^{2}&lt;1}"
            "</annotation></semantics></math> b",
            "a c^{2}<1 b",
        ),
        (
            "<p>a <mjx-container jax=CHTML><mjx-math aria-hidden=true><mjx-mi>E</mjx-mi></mjx-math><mjx-assistive-mml>"
            "<math><mi>E</mi><mo>=</mo><mn>2</mn></math></mjx-assistive-mml></mjx-container>, b</p>",
            "a E=2, b",
        ),
        (
            "<math><mi>sin</mi><mo>&ApplyFunction;</mo><mi>x</mi><mo>=</mo><mi>f</mi><mo>&ApplyFunction;</mo>"
            "<mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow></math>",
            "sin x=f(x)",
        ),
        ("a <math alttext='c_1'><mi>c</mi></math> b", "a c_1 b"),
        ("a <math><!-- c --><mi>d</mi></math> b", "a d b"),
        (
            "<math><msup><mi>c</mi><mn>2</mn></msup><mo>=</mo><mfrac><mi>a</mi><mrow><mi>b</mi><mo>+</mo><mn>1</mn></mrow>"
            "</mfrac><msqrt><msub><mi>x</mi><mi>i</mi></msub></msqrt></math>",
            "c²=a/(b+1)√(x_i)",
        ),
        (
            "a <script type='math/tex'>E < h \\nu</script> b<script type='math/tex; mode=display'>c</script>d",
            "a E < h \\nu b\nc\nd",
        ),
        ("a <script type='math/mml'><math><mi>x</mi></math></script><script type='text/x'>no</script>", "a x"),
        ("a <img class=tex alt='c^2 &lt; 1' src=x> b <img alt='text of a mathematician' src=x>", "a c^2 < 1 b"),
        (
            "<span class=katex><span class=katex-mathml><math><mi>E</mi><annotation encoding='application/x-tex'>E=1"
            "</annotation></math></span><span class=katex-html aria-hidden=true><span>E</span>=1</span></span> is",
            "E=1 is",
        ),
        (
            "<span class=MathJax_Preview>c</span><span class=MathJax><nobr>c2</nobr></span>"
            "<script type='math/tex'>c^2</script>",
            "c^2",
        ),
        (
            "<span class=w><span style='display: none'><math alttext='c'><mi>c</mi></math></span><img class=mwe-math-x "
            "alt='c'></span> is",
            "c is",
        ),
        # what nobody sees
        (
            "a <p hidden>b</p><p style='color:red; DISPLAY : none !important'>c</p><p style='visibility:hidden'>d</p>e",
            "a e",
        ),
        ("<div style='display:none'>a<div>b</div></div><span style='display:none'>c</span><dialog>d</dialog>e", "e"),
        (
            "<dialog open>a</dialog><p hidden=until-found>b</p><p aria-hidden=true>c</p><p style='--display:none'>d</p>"
            "<p style='display:none;display:block'>e</p><details><summary>f</summary>g</details>",
            "a\n\nb\n\nc\n\nd\n\ne\n\nf\ng",
        ),
        ("<table><tr><td><pre>1\n2\n3</pre></td><td><pre>10\n20\n30</pre></td></tr></table>", "10\n20\n30"),
        # numbers are those of lines only beside code
        (
            "<span class=nums>42</span> is the answer, <b class=ln>7</b> the question",
            "42 is the answer, 7 the question",
        ),
        ("<table><tr><th>Line<th>Goods<tr><td class=line-number>10<td>Flour</table>", "Line\tGoods\n10\tFlour"),
        ("<div><b class=ln>1</b><code>a = 1</code></div><div><b class=ln>2</b><code>b</code></div>", "a = 1\nb"),
        ("<table><tr hidden><td>a</td></tr><tr><td>b</td></tr></table>", "b"),
        (
            "<body style='display:none'>a<noscript>b</noscript><template>c</template><iframe>d</iframe>"
            "<title>e</title>",
            "a",
        ),
        ("<svg><title>a</title><text>b</text></svg><script><!--<script></script>c</script>d<?php e ?><!-- f -->", "d"),
        (
            "<ruby>漢<rt>かん</rt>字<rt>じ</rt></ruby>と<ruby><rb>東</rb><rp>（</rp><rt>とう</rt><rp>）</rp></ruby>",
            "漢(かん)字(じ)と東（とう）",
        ),
        # what a reader can open, or a script shows
        ("a<div class='faq-answer' style='display:none'>b</div><div role=tabpanel hidden>c</div>", "a\nb\nc"),
        ("a<div hidden id='S:1'>b</div><template shadowrootmode=open><p>c</p></template>", "a\nb\n\nc"),
        (f"a<div style='display:none'>{LONG}</div>", f"a\n{LONG.strip()}"),
        (f"a<noscript><p>{LONG}</p></noscript><noscript><p>no</p></noscript>", f"a\n\n{LONG.strip()}\n\nno"),
        (f"<p>{LONG}</p><p>More.</p><noscript>{LONG}</noscript>", f"{LONG.strip()}\n\nMore."),
        ("<svg><foreignObject><p>a</p></foreignObject><text>b</text><foreignObject>c</foreignObject></svg>", "a\n\nc"),
        # lines of code, without their numbers
        (
            "<table class=highlighttable><tr><td class=linenos><pre>1\n2</pre>"
            "<td class=code><pre>a:\n    b</pre></table>",
            "a:\n    b",
        ),
        ("<table><tr><td><pre>9\n10</pre></td><td><pre>a\n\n b</pre></td></tr></table>", "a\n\n b"),
        (
            "<table><tr><td class=hljs-ln-numbers><div>1</div><td>if a:"
            "<tr><td class=hljs-ln-numbers>2<td>    b</table>",
            "if a:\n    b",
        ),
        (
            "<table><tr><td class=gutter><div>1</div><div>2</div></td><td class=code><div class=line>"
            "<code>a</code></div><div class=line><code>&nbsp;&nbsp;</code><code>b</code></div></td></tr></table>",
            "a\n  b",
        ),
        ("<pre><span class=lineno>1 </span>a\n<span class=lineno>2 </span>  b 3</pre>", "a\n  b 3"),
        ("<pre><ol class=linenums><li>a</li><li>&nbsp; b</li></ol></pre>", "a\n  b"),
        ("<ol class='geshi'>\n<li><div>a</div></li>\n<li><div>&nbsp; b</div></li></ol>", "a\n  b"),
        (
            "<table><tr><td>1</td><td>one</td></tr><tr><td>2</td><td>two</td></tr></table><ol><li>c</ol>",
            "1\tone\n2\ttwo\n\n1. c",
        ),
        # indents
        ("<div class=code><div>a:</div><div>&nbsp;&nbsp;&nbsp; b</div></div>", "a:\n    b"),
        ("<p><code>a:<br>\n&nbsp;&nbsp;b<br>c</code></p>", "a:\n  b\nc"),
        (
            "<p>a verse<br>&nbsp;&nbsp;set in</p><p>&nbsp;&nbsp;&nbsp;a paragraph</p><p>&nbsp;</p>",
            "a verse\n  set in\n\na paragraph",
        ),
        ("<pre>a<br>  b</pre><xmp><i>c</i> &amp;</xmp><listing>d\n e</listing>", "a\n  b\n\n<i>c</i> &amp;\n\nd\n e"),
        ("a<plaintext><b>c", "a\n\n<b>c"),
        ("<span style='display:block'>a</span><b style='display: block'>b</b>c", "a\nb\nc"),
    ],
)
def test_what_is_seen(html: str, text: str) -> None:
    assert text_of(html) == text


PAGE = "".join(
    f"<p>Paragraph {n} tells, in a sentence or two, what there is to know about point {n}, and why it matters.</p>"
    for n in range(8)
)


@MODES
def test_every_mode_sees_the_same(mode: str) -> None:
    html = (
        f"<title>T</title><main><article>{PAGE}<p>It turns 10<sup>6</sup> times, drinks H<sub>2</sub>O, and its power "
        "is <math><semantics><mi>P</mi><annotation encoding='application/x-tex'>P = m c^2</annotation></semantics>"
        "</math>, as <ruby>水車<rt>すいしゃ</rt></ruby> <a id=x></a>do.</p><p hidden>Nobody sees it.</p>"
        "<p style='display:none'>Nor this.</p><table class=highlighttable><tr><td class=linenos><pre>1\n2</pre></td>"
        f"<td class=code><pre>if corn:\n    grind(corn)</pre></td></tr></table>"
        f"{PAGE.replace('point', 'matter')}</article></main>"
    )
    text = html_to_text(html, CleanConfig(extraction=mode)).text
    assert "It turns 10⁶ times, drinks H₂O, and its power is P = m c^2, as 水車(すいしゃ) do." in text
    assert "if corn:\n    grind(corn)" in text
    assert "Nobody" not in text
    assert "Nor this" not in text


@MODES
def test_a_page_of_frames_is_what_it_says_to_those_who_see_none(mode: str) -> None:
    html = f"<title>T</title><frameset cols='20%,80%'><frame src=a><noframes><body>{PAGE}</body></noframes></frameset>"
    page = html_to_text(html, CleanConfig(extraction=mode))
    assert page.title == "T"
    assert "what there is to know about point 7" in page.text
    assert "<p>" not in page.text


@given(documents)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_page_has_a_source_that_is_seen(html: str) -> None:
    source = canonical(HTMLTree.parse(html.encode("utf-8", "replace").decode()))
    seen = visible(source)
    assert visible(seen.source).source == seen.source
    for is_same, main_content in ((seen.same_text, False), (seen.same_main_content, True)):
        before, after = (
            extract_plain_text(text.decode(), main_content=main_content, alt_texts=False, comments=False).split()
            for text in (source, seen.source)
        )
        assert before == after or not is_same


@pytest.mark.parametrize(
    "hostile",
    [
        "<math>" * 300 + "<mi>x" * 20_000,
        "<svg><foreignObject>" * 300 + "<p>x</p>" * 20_000,
        "<ruby><rt>" * 300 + "x<rt>" * 20_000,
        "<table><tr><td class=linenos>" * 200 + "1 <b>1</b>" * 20_000,
        "<div hidden class=tab>" * 500 + "<b hidden>x</b>" * 20_000,
        "<ol class=linenums><li>" * 300 + "<li>x" * 20_000,
        "<code>" * 500 + "<br>&nbsp;&nbsp;x" * 20_000,
        "<sup>" * 500 + "1<sup>2</sup>" * 20_000,
        "<img class=tex alt=x>" * 200_000,
        "<ruby>x<rt>x</rt></ruby>" * 100_000,
        "<mjx-container><math></math><mjx-assistive-mml>" * 300 + "<mjx-math>" * 20_000,
    ],
    ids=lambda html: html[:16],
)
def test_time_is_linear(hostile: str) -> None:
    visible(canonical(HTMLTree.parse("<p>compiled")))
    source = canonical(HTMLTree.parse(hostile))
    started = time.process_time()
    visible(source)
    assert time.process_time() - started < 6  # it takes a part of a second
