"""tasks/synthetic/instructions.py: pairs say what stands on the page, each once, special methods not at all."""

from __future__ import annotations

from tasks.synthetic.instructions import completions_of, pairs_of
from tasks.synthetic.pydoc import Entry, entries
from tests.tasks.pydoc_corpus import page


def test_pairs_of_a_page() -> None:
    pairs = list(pairs_of(entries(page(3), "mod3"), 240))
    answers = {pair["output"] for pair in pairs}
    assert any("mod3.split_" in pair["instruction"] for pair in pairs)
    assert any(answer.startswith("Split the ") for answer in answers)
    assert any(answer.startswith("`mod3.") and "(path, *, mode='r')" in answer for answer in answers)
    assert not any("__init__" in pair["instruction"] or "old" in pair["instruction"] for pair in pairs)
    assert len({(pair["instruction"], pair["input"]) for pair in pairs}) == len(pairs)
    assert pairs == list(pairs_of(entries(page(3), "mod3"), 240))


def test_a_name_is_asked_for_by_its_description() -> None:
    pairs = [pair for number in range(10) for pair in pairs_of(entries(page(number), f"mod{number}"), 240)]
    which = [pair for pair in pairs if pair["input"]]
    assert which
    assert all(pair["output"].startswith("`mod") and pair["output"].endswith("`") for pair in which)


def test_long_docstrings_are_cut_at_a_sentence_and_short_ones_left_out() -> None:
    long = Entry("m", "f", "x", "function", ("One thing is done here. " * 20,))
    short = Entry("m", "g", "x", "function", ("Go.",))
    outputs = [pair["output"] for pair in pairs_of([long, short], 60) if not pair["output"].startswith("`")]
    assert outputs == ["One thing is done here. One thing is done here."]


def test_lines_to_finish() -> None:
    pairs = list(completions_of(page(3), 5))
    assert len(pairs) == 5
    text = " ".join(page(3).split())
    assert all(pair["output"] in text for pair in pairs)
    assert pairs == list(completions_of(page(3), 5))
    assert list(completions_of("No prose here.", 5)) == []
