"""Gopher's rules: values by hand, the values and decisions of datatrove on the same words, other scripts.

Also covers: tasks/corpus/clean/analysis.py
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.text.units import words
from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import GopherQualityConfig, GopherRepetitionConfig
from tasks.corpus.clean.filters.gopher import GopherQuality, GopherRepetition, repetition

QUALITY = GopherQuality(GopherQualityConfig())
REPETITION = GopherRepetition(GopherRepetitionConfig())
PIECES = ["to", "the", "sea", "wind", "tide", "of", "go", ".", "\n", "\n\n", "1999", "#", "…"]
ENGLISH = "It is plain that the work of the people who live with the sea has to be done when the wind and tide allow. "


def rules(removals) -> dict[str, float]:
    return {removal.detail: removal.value for removal in removals}


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("one two three", "min_words", 3),
        ("word " * 100_001, "max_words", 100_001),
        ("ab cd ef " * 40, "min_word_length", 2),
        ("internationalisation " * 60, "max_word_length", 20),
        ("year 1999 2000 2001 " * 20, "min_letter_words", 0.25),
        ("alpha beta # # " * 30, "max_symbol_ratio: #", 1),
        ("alpha beta … " * 30, "max_symbol_ratio: …", 0.5),
        ("- alpha beta\n" * 30, "max_bullet_lines", 1),
        ("alpha beta...\ngamma delta\n" * 30, "max_ellipsis_lines", 0.5),
        (ENGLISH.replace("the ", "").replace("of ", "").replace("to be ", "").replace("with ", "").replace("and ", "")
         .replace("that ", "") * 4, "min_stop_words", 0),
    ],
)  # fmt: skip
def test_quality_values(text, rule, value):
    assert rules(QUALITY.violations(Analysis(text)))[rule] == pytest.approx(value)


def test_stop_words_are_asked_of_english_alone():
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren, mit Vernunft und Gewissen begabt. " * 5
    assert "min_stop_words" not in rules(QUALITY.violations(Analysis(german)))
    assert "min_stop_words" not in rules(QUALITY.violations(Analysis(ENGLISH * 4)))


def test_rules_on_the_length_of_words_are_not_asked_where_a_character_is_a_word():
    chinese = "人人生而自由在尊严和权利上一律平等他们赋有理性和良心并应以兄弟关系的精神相对待" * 2
    assert rules(QUALITY.violations(Analysis(chinese))) == {}


def test_repetition_of_lines_and_paragraphs_by_hand():
    assert repetition(["a", "b", "a", "a"]) == (2, 2)
    text = "\n\n".join(["one line here", "another line", "one line here", "one line here"])
    found = rules(REPETITION.violations(Analysis(text)))
    assert found["max_lines"] == found["max_paragraphs"] == 0.5
    assert found["max_line_characters"] == pytest.approx(26 / len(text))


def test_ngrams_by_hand():
    text = "a b a b a b c d e f"
    found = rules(GopherRepetition(GopherRepetitionConfig(repeated_ngrams=((2, 0.0),))).violations(Analysis(text)))
    assert found["top_ngrams: 2"] == pytest.approx(3 * len("a b") / len(text))
    # a b | a b again | a b again: two of them came before, two characters each
    assert found["repeated_ngrams: 2"] == pytest.approx(4 / len(text))


def test_an_ngram_is_n_words_also_where_a_word_is_some_characters():
    # five characters that come again are two or three words of Chinese, not five
    article = (
        "人人有权享受社会保障并有权享受他的个人尊严和人格自由发展所必需的经济社会和文化方面各种权利的实现。"
        "鉴于对人类家庭所有成员的固有尊严及其平等的和不移的权利的承认，乃是世界自由正义与和平的基础。"
    )
    assert rules(REPETITION.violations(Analysis(article))) == {}
    assert "repeated_ngrams: 5" in rules(REPETITION.violations(Analysis(article * 4)))


@pytest.mark.parity
@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=250))
def test_decisions_are_datatroves_on_the_same_words(pieces):
    text = " ".join(pieces).strip()
    compare(text)


@pytest.mark.parity
@pytest.mark.shared
def test_decisions_are_datatroves_on_pages_of_c4(shared_data):
    path = shared_data / "07_text" / "hiyouga__LLaMA-Factory" / "data" / "c4_demo.jsonl"
    for line in path.read_text("utf-8").splitlines():
        compare(json.loads(line)["text"])


def compare(text: str) -> None:
    """Both filters of datatrove, given textmill's words, decide as ours do; every threshold in turn."""
    quality = pytest.importorskip("datatrove.pipeline.filters.gopher_quality_filter")
    repetition_module = pytest.importorskip("datatrove.pipeline.filters.gopher_repetition_filter")
    from datatrove.data import Document

    def datatrove(module, filter_class, **settings):
        module.split_into_words = lambda text, language: words(text)
        answer = filter_class(**settings).filter(Document(text=text, id="1"))
        return answer if answer is True else answer[1]

    if not words(text):
        return
    page = Analysis(text)
    ours = rules(REPETITION.violations(page))
    theirs = datatrove(repetition_module, repetition_module.GopherRepetitionFilter)
    names = {"dup_para_frac": "max_paragraphs", "dup_para_char_frac": "max_paragraph_characters",
             "dup_line_frac": "max_lines", "dup_line_char_frac": "max_line_characters"}  # fmt: skip
    names |= {f"top_{n}_gram": f"top_ngrams: {n}" for n in (2, 3, 4)}
    names |= {f"duplicated_{n}_n_grams": f"repeated_ngrams: {n}" for n in range(3, 11)}
    assert (next(iter(ours), True)) == (names[theirs] if isinstance(theirs, str) else True), text
    for number, (n, _) in enumerate(GopherRepetitionConfig().top_ngrams):
        limit = 0.001 * (37 + 50 * number)  # other thresholds than the published ones decide alike, too
        module = repetition_module.GopherRepetitionFilter
        said = datatrove(repetition_module, module, dup_line_frac=0, dup_para_frac=0, dup_line_char_frac=0,
                         dup_para_char_frac=0, top_n_grams=((n, limit),), dup_n_grams=((n + 1, limit),))  # fmt: skip
        config = GopherRepetitionConfig(max_lines=1, max_paragraphs=1, max_line_characters=1,
                                        max_paragraph_characters=1, top_ngrams=((n, limit),),
                                        repeated_ngrams=((n + 1, limit),))  # fmt: skip
        mine = next(iter(rules(GopherRepetition(config).violations(page))), True)
        assert mine == (True if said is True else names[said]), text
    ours = rules(QUALITY.violations(page))
    theirs = datatrove(quality, quality.GopherQualityFilter, min_stop_words=None)
    ours.pop("min_stop_words", None)
    names = {"gopher_short_doc": "min_words", "gopher_long_doc": "max_words",
             "gopher_below_avg_threshold": "min_word_length", "gopher_above_avg_threshold": "max_word_length",
             "gopher_too_many_hashes": "max_symbol_ratio: #", "gopher_too_many_ellipsis": "max_symbol_ratio: …",
             "gopher_too_many_bullets": "max_bullet_lines", "gopher_too_many_end_ellipsis": "max_ellipsis_lines",
             "gopher_below_alpha_threshold": "min_letter_words"}  # fmt: skip
    assert (next(iter(ours), True)) == (names[theirs] if isinstance(theirs, str) else True), text
