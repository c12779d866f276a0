"""C4's rules: which lines go, which pages go, and datatrove's result on the same pages."""

from __future__ import annotations

import json

import pytest

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import C4Config
from tasks.corpus.clean.filters.base import Removal
from tasks.corpus.clean.filters.c4 import C4

FREE = C4(C4Config(min_sentences=0))


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("A sentence of five words.", True),
        ('"Is it so?" she asked.', True),
        ("no mark at the end", False),
        ("It trails off...", False),
        ("Too short.", False),
        ("Please enable JavaScript to see this page.", False),
        ("By going on you accept our use of cookies.", False),
        ("x" * 1001 + " is a long word.", False),
        ("人人生而自由，在尊严和权利上一律平等。", True),
    ],
)
def test_lines(line, stays):
    page = Analysis(f"The first line is a sentence.\n{line}")
    answer = FREE.apply(page)
    text = page.text if answer is None else answer
    assert isinstance(text, str)
    assert (line in text) is stays


def test_pages():
    for text, rule in (
        ("This text is lorem ipsum and nothing else.", "lorem_ipsum"),
        ("int main() { return 0; } is a line of code.", "curly_bracket"),
    ):
        removal = FREE.apply(Analysis(text))
        assert isinstance(removal, Removal)
        assert removal.detail == rule
    removal = C4(C4Config()).apply(Analysis("One sentence here is. Two sentences are here. And three of them now."))
    assert isinstance(removal, Removal)
    assert (removal.detail, removal.value, removal.threshold) == ("min_sentences", 3, 5)


def test_citations_go_and_thai_needs_no_marks():
    assert FREE.apply(Analysis("The moon is far away.[12] It moves[edit] round us.")) == (
        "The moon is far away. It moves round us."
    )
    thai = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม"
    assert C4(C4Config()).apply(Analysis(thai)) is None


@pytest.mark.parity
@pytest.mark.shared
def test_lines_and_decisions_are_datatroves_on_pages_of_c4(shared_data):
    """Sentences aside (datatrove has NLTK's splitter), each page keeps the same lines or goes for the same reason."""
    module = pytest.importorskip("datatrove.pipeline.filters.c4_filters")
    from datatrove.data import Document

    path = shared_data / "07_text" / "hiyouga__LLaMA-Factory" / "data" / "c4_demo.jsonl"
    theirs = module.C4QualityFilter(min_num_sentences=-1)
    ours = C4(C4Config(min_sentences=0))
    same = 0
    for row in path.read_text("utf-8").splitlines():
        # datatrove's marks at the end of a line are those of English; ours those of Unicode
        text = "\n".join(line for line in json.loads(row)["text"].split("\n") if line.isascii() and line[-1:] != ")")
        document = Document(text=text, id="1")
        expected = theirs.filter(document)
        page = Analysis(text)
        answer = ours.apply(page)
        if isinstance(answer, Removal):
            assert expected == (False, answer.detail)
        else:
            assert (answer if answer is not None else text).strip() == document.text
            same += 1
    assert same > 200
