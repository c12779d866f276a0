"""FineWeb's filters: values by hand, and datatrove's decisions on the same words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text.units import words
from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import FineWebConfig
from tasks.corpus.clean.filters.fineweb import FineWeb

LINES = ["The sea is calm.", "menu", "no mark at the end of this rather long line", "?", "Is it?"]


def rules(text: str, config: FineWebConfig | None = None) -> dict[str | None, float]:
    return {removal.detail: removal.value for removal in FineWeb(config or FineWebConfig()).violations(Analysis(text))}


def test_values_by_hand():
    lines = ["a line that ends in no mark and is long enough", "short", "short", "another line that has no mark at all"]
    found = rules("\n".join(lines), FineWebConfig(max_short_lines=0, max_newlines_per_word=0))
    assert found["min_punctuated_lines"] == 0
    assert found["max_short_lines"] == 0.5
    assert found["max_newlines_per_word"] == pytest.approx(3 / 21)
    assert "max_repeated_characters" not in found
    assert rules("the same line of text\n" * 2)["max_repeated_characters"] == 0.5


def test_marks_of_other_scripts_end_sentences_and_thai_has_none():
    assert "min_punctuated_lines" not in rules("人人生而自由，在尊严和权利上一律平等。\n" * 1)
    assert "min_punctuated_lines" not in rules("सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता है।")
    assert "min_punctuated_lines" not in rules("มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ")
    assert "max_short_lines" not in rules("人人生而自由。\n在尊严上平等。\n权利一律平等。")


@pytest.mark.parity
@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=30))
def test_decisions_are_datatroves_on_the_same_words(lines):
    compare("\n".join(lines).strip())


@pytest.mark.parity
@pytest.mark.shared
def test_decisions_are_datatroves_on_pages_of_c4(shared_data):
    path = shared_data / "07_text" / "hiyouga__LLaMA-Factory" / "data" / "c4_demo.jsonl"
    for line in path.read_text("utf-8").splitlines():
        compare("\n".join(part.strip() for part in json.loads(line)["text"].split("\n")))


def compare(text: str) -> None:
    module = pytest.importorskip("datatrove.pipeline.filters.fineweb_quality_filter")
    from datatrove.data import Document

    if not words(text):
        return
    module.split_into_words = lambda text, language: words(text)
    names = {"line_punct_ratio": "min_punctuated_lines", "short_line_ratio": "max_short_lines",
             "char_dup_ratio": "max_repeated_characters", "list_ratio": "max_newlines_per_word"}  # fmt: skip
    for duplicates in (0.01, 0.1):
        answer = module.FineWebQualityFilter(char_duplicates_ratio=duplicates).filter(Document(text=text, id="1"))
        ours = next(iter(rules(text, FineWebConfig(max_repeated_characters=duplicates))), True)
        assert ours == (True if answer is True else names[answer[1]]), text
