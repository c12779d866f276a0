"""tasks/synthetic/questions/items.py: seen answers are dropped, choices differ, draws are fixed."""

from __future__ import annotations

from collections import Counter

from tasks.corpus.splits import SplitDocument
from tasks.synthetic.questions.items import Passage, hellaswag_items, mmlu_items, passages, without_seen
from tests.tasks.pydoc_corpus import page


def document(number: int) -> SplitDocument:
    return SplitDocument(f"id{number}", f"http://h/{number}", "h", "en", f"page {number}", page(number), 1, "test")


def pool() -> list[Passage]:
    return without_seen([passage for number in range(20) for passage in passages(document(number))], [])[0]


def test_passages_are_cut_lines_of_the_page() -> None:
    found = passages(document(3))
    assert found
    text = " ".join(page(3).split())
    for passage in found:
        assert " ".join(f"{passage.context} {passage.ending}".split()) in text
        assert passage.label == "page 3"


def test_what_training_has_seen_is_dropped() -> None:
    found = [Passage("p", "l", "context", ending) for ending in ("Return the sum.", "Say  hello\nto all.", "Stay.")]
    left, seen = without_seen(found, ["It will SAY hello to all. Yes."])
    assert {passage.ending for passage in left} == {"Return the sum.", "Stay."}
    assert seen == 1


def test_wrong_endings_are_of_other_pages_and_differ() -> None:
    found = pool()
    pages = {passage.ending: passage.page for passage in found}
    items = hellaswag_items(found, 30)
    assert len(items) == 30
    for item in items:
        assert len(set(item.endings)) == 4
        right = item.endings[item.label]
        assert pages[right] == item.source_id
        assert all(pages[ending] != item.source_id for ending in item.endings if ending != right)


def test_wrong_choices_are_other_orders_of_the_right_words() -> None:
    items = mmlu_items(pool(), 30)
    assert len(items) == 30
    endings = {passage.context: passage.ending for passage in pool()}
    for item in items:
        assert len(set(item.choices)) == 4
        assert item.choices[item.answer] == endings[item.question]
        assert len({tuple(sorted(choice.split())) for choice in item.choices}) == 1
        assert len({choice.split()[-1] for choice in item.choices}) == 1


def test_too_few_words_make_no_item() -> None:
    assert mmlu_items([Passage("p", "l", "Say", "hello everybody.")], 5) == []


def test_places_are_spread_and_fixed() -> None:
    items = mmlu_items(pool(), 60)
    counts = Counter(item.answer for item in items)
    assert set(counts) == {0, 1, 2, 3}
    assert max(counts.values()) < 30
    assert items == mmlu_items(pool(), 60)
