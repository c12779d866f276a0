"""tasks/evaluate/items.py: seen answers are dropped, choices differ, draws are fixed."""

from __future__ import annotations

from collections import Counter

from tasks.evaluate.items import candidates, halves, hellaswag_items, mmlu_items, without_seen
from tasks.pydoc_entries import Entry, entries
from tests.tasks.pydoc_corpus import page


def pool() -> dict[str, Entry]:
    return candidates(entry for number in range(20) for entry in entries(page(number), f"mod{number}"))


def test_what_training_has_seen_is_dropped() -> None:
    left, seen = without_seen(["Return the sum.", "Say  hello\nto all.", "Stay."], ["It will SAY hello to all. Yes."])
    assert (left, seen) == (["Return the sum.", "Stay."], 1)


def test_halves_put_together_are_the_sentence() -> None:
    assert halves("Fill a single paragraph of text.") == ("Fill a single", "paragraph of text.")
    begin, end = halves("Fill a paragraph of text, returning a new string.")
    assert f"{begin} {end}" == "Fill a paragraph of text, returning a new string."


def test_items_ask_what_the_page_says() -> None:
    found = pool()
    questions, sentences = mmlu_items(found, 40), hellaswag_items(found, 40)
    assert len(questions) == len(sentences) == 40
    for question in questions:
        right = question.choices[question.answer]
        assert found[right].qualified in question.question
        assert len(set(question.choices)) == 4
        assert all(choice in found for choice in question.choices)
    for sentence in sentences:
        begin = sentence.ctx_a.split("\n", 1)[1]
        whole = f"{begin} {sentence.endings[sentence.label]}"
        assert sentence.source_id == f"pydoc~{found[whole].qualified}"
        assert len(set(sentence.endings)) == 4


def test_places_are_spread_and_fixed() -> None:
    questions = mmlu_items(pool(), 80)
    counts = Counter(question.answer for question in questions)
    assert set(counts) == {0, 1, 2, 3}
    assert max(counts.values()) < 40
    assert questions == mmlu_items(pool(), 80)


def test_special_and_trivial_entries_are_no_candidates() -> None:
    found = candidates(
        [
            Entry("m", "C.__init__", "", "method", ("Initialize self, as everything has to be.",)),
            Entry("m", "_private", "", "function", ("Something that nobody should ever call.",)),
            Entry("m", "short", "", "function", ("Too short.",)),
            Entry("m", "telling", "", "function", ("Says telling in its own answer, which tells.",)),
        ]
    )
    assert found == {}
