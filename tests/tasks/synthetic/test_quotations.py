"""tasks/synthetic/quotations.py: the answer stands in the text; true questions are of a page, made-up ones of none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tasks.synthetic.pydoc import Entry, entries
from tasks.synthetic.quotations import Inventor, passages_of, quotations_of
from tests.tasks.pydoc_corpus import page

PAGES = [list(entries(page(number), f"mod{number}")) for number in range(12)]


def test_the_text_of_a_true_question_has_its_answer_among_others_of_the_page() -> None:
    asked = list(quotations_of(PAGES[3], 240, 3))
    texts = {passage.text for _, passage in passages_of(PAGES[3], 240)}
    assert len(asked) == len(texts) > 5
    for pair in asked:
        shown = pair["input"].split("\n\n")
        assert pair["output"] in shown
        assert set(shown) <= texts
        name = pair["output"].partition("(")[0]
        assert f"mod3.{name}`" in pair["instruction"]
    assert {len(pair["input"].split("\n\n")) for pair in asked} == {1, 2, 3}
    assert any(pair["input"].startswith(pair["output"]) for pair in asked)
    assert not all(pair["input"].startswith(pair["output"]) for pair in asked)
    assert asked == list(quotations_of(PAGES[3], 240, 3))


def test_a_name_of_two_classes_is_asked_for_once() -> None:
    methods = [Entry("m", f"{owner}.close", "", "method", (f"Close the {owner} and free it.",)) for owner in ("A", "B")]
    assert [pair["instruction"].split("`")[1] for pair in quotations_of(methods, 240, 3)] == ["m.A.close"]


def test_what_is_made_up_is_on_no_page_and_follows_from_the_generator() -> None:
    inventor = Inventor(PAGES, 240, 3)
    made = [inventor.pair(np.random.default_rng([0, number])) for number in range(200)]
    assert made == [inventor.pair(np.random.default_rng([0, number])) for number in range(200)]
    true = {passage.text for one in PAGES for _, passage in passages_of(one, 240)}
    assert all(pair["output"] in re.split(r"\n\n|\n(?! )", pair["input"]) for pair in made)
    names = [pair["output"].partition("(")[0] for pair in made]
    asked = [pair["instruction"].replace("`", "") for pair in made]
    assert all(re.search(rf"\.{name}\b", question) for name, question in zip(names, asked, strict=True))
    assert 60 < sum("`" in pair["instruction"] for pair in made) < 140  # people ask without them
    # names and descriptions are of pages, but hardly ever of the same entry
    assert sum(pair["output"] in true for pair in made) < 20
    summaries = {text.partition("\n    ")[2] for text in true}
    told = [pair["output"].partition("\n    ")[2] for pair in made]
    assert 40 < sum(" ".join(text.split()) in summaries for text in told) < 120
    words = {word for summary in summaries for word in summary.split()}
    # the others are known words in another order, and some of the question's own signatures
    shown = [words.union(re.findall(r"\w+", pair["input"])) for pair in made]
    assert all(known.issuperset(text.split()) for known, text in zip(shown, told, strict=True))
    assert 10 < sum(not words.issuperset(text.split()) for text in told) < 100


def test_passages_of_a_made_up_question_resemble_each_other_as_entries_of_a_page_do() -> None:
    inventor = Inventor(PAGES, 240, 2)
    made = [inventor.pair(np.random.default_rng([2, number])) for number in range(300)]
    texts = [re.split(r"\n+(?! |\n)", pair["input"]) for pair in made]
    two = [[text.partition("\n") for text in parts] for parts in texts if len(parts) == 2]
    assert len(two) > 100
    names = [[signature.partition("(")[0] for signature, _, _ in parts] for parts in two]
    assert 0.05 < sum(second.startswith(f"{first}_") for first, second in names) / len(two) < 0.3
    begun = [[told.split()[:2] for _, _, told in parts] for parts in two]
    assert 0.1 < sum(first == second for first, second in begun) / len(two) < 0.5


def test_what_is_made_up_has_lines_and_further_paragraphs_as_pages_have() -> None:
    inventor = Inventor(PAGES, 240, 1)
    made = [inventor.pair(np.random.default_rng([1, number])) for number in range(100)]
    assert all(pair["input"].startswith(pair["output"]) for pair in made)
    further = [pair["input"].removeprefix(pair["output"]) for pair in made]
    assert 15 < sum(text.startswith("\n\n    ") for text in further) < 45  # not quoted
    assert 5 < sum(pair["output"].count("\n") > 1 for pair in made) < 30
    assert all(
        len(line) <= 80 for pair in made if pair["output"].count("\n") > 1 for line in pair["output"].split("\n")[1:]
    )


def test_what_is_made_up_has_the_forms_of_pages() -> None:
    """Entries that follow each other with and without a blank line, and methods."""
    inventor = Inventor(PAGES, 240, 3)
    made = [inventor.pair(np.random.default_rng([3, number])) for number in range(200)]
    methods = [pair for pair in made if re.match(r"\w+\(self[,)]", pair["output"])]
    assert 40 < len(methods) < 80
    for pair in methods:
        assert pair["output"] in pair["input"]
    several = [pair["input"] for pair in made if len(re.findall(r"^\w", pair["input"], re.MULTILINE)) > 1]
    close = sum(re.search(r"[^\n]\n\w", text) is not None for text in several)
    assert 0.3 < close / len(several) < 0.7


def test_too_few_names_to_make_up_questions() -> None:
    with pytest.raises(ValueError, match="the pages document 0 names, and a question needs up to 3"):
        Inventor([[]], 240, 3)
