"""Short items are found in every form in which they leak, to the last word of their choices, and nowhere else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.benchmarks.formats import read_mmlu
from tasks.corpus.benchmarks.item import Item, mmlu_texts
from tasks.corpus.contamination.detection import DetectionConfig
from tasks.corpus.contamination.index import NgramIndex, Words
from tasks.corpus.contamination.judge import contamination_of

QUESTION, CHOICES = "Who turns the wheel of the mill?", ("the cat", "a miller", "the river", "nobody at all")
ITEM = Item("b", "1", QUESTION, "the river", CHOICES)
NUMBERS = Item("b", "2", "How many buckets has the wheel?", "12", ("4", "12", "16", "32"))
TWO_WORDS = Item(
    "b", "3", "The sluice", "lets water onto the wheel", ("is a bird", "lets water onto the wheel", "sleeps")
)


def letters(before: str, after: str, choices: tuple[str, ...]) -> list[str]:
    return [f"{before}{'ABCD'[n]}{after} {choice}" for n, choice in enumerate(choices)]


def row(question: str, choices: tuple[str, ...], answer: str) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([question, *choices, "ABCD"[choices.index(answer)]])
    return out.getvalue().strip()


FORMS: dict[str, Callable[[str, tuple[str, ...], str], str]] = {
    "letters": lambda q, c, a: "\n".join([q, *letters("", ".", c)]) + "\nAnswer: C",
    "inline": lambda q, c, a: " ".join([q, *letters("(", ")", c)]).lower(),
    "shuffled": lambda q, c, a: "\n".join([q, *letters("", ")", c[::-1])]) + "\nCorrect answer: B",
    "numbers": lambda q, c, a: "\n".join([q, *(f"{n}. {choice}" for n, choice in enumerate(c, 1))]),
    "bullets": lambda q, c, a: "\n".join([q, "", *(f"* {choice}" for choice in c)]),
    "csv": row,
    "json": lambda q, c, a: json.dumps({"question": q, "subject": "milling", "choices": c, "answer": c.index(a)}),
    "arc": lambda q, c, a: json.dumps({"question": q, "choices": {"text": c, "label": list("ABCD")}, "answerKey": "C"}),
    "answer": lambda q, c, a: f"Question: {q}\nThe correct answer is: {a.upper()}",
    "typography": lambda q, c, a: "\n".join([q, *letters("", "\u00a0–", c)]).replace(" ", "  "),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("item", [ITEM, NUMBERS, TWO_WORDS], ids=["words", "digits", "two words"])
def test_a_short_item_is_found_as_it_leaks(item: Item, form: str) -> None:
    leak = FORMS[form](item.question, item.choices, item.answer)
    text = f"The page before it ends here. {leak} And so it goes on."
    hits = NgramIndex([item], 13, 3).find(Words.of_column(pa.array([text], pa.large_string())))
    assert len(hits) == 1
    found = " ".join(text[int(hits.start[0]) : int(hits.end[0])].split())
    assert found.lower().startswith(item.question.lower().rstrip("?"))
    assert all(choice.lower() in found.lower() for choice in item.choices) or form == "answer"
    assert found in " ".join(leak.split())
    contamination = contamination_of({"b": [item]}, [text], DetectionConfig())["b"]
    assert contamination.contaminated.tolist() == [True]
    assert contamination.fraction.tolist() == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        f"{QUESTION} That is what the children ask, and the miller only smiles.",
        f"{QUESTION}\nA. the wind\nB. the sun\nC. the donkey\nD. the rain\nAnswer: C",
        f"{QUESTION}\nA. the cat\nB. a miller\nC. the donkey\nD. nobody at all",  # without the right one
        f"{QUESTION} Nobody knew. " + "And the story goes on and on for many more words. " * 3 + "the river, the cat",
        "the cat, a miller, the river, nobody at all",
        "The wheel of the mill: A. the cat B. a miller C. the river D. nobody at all",
    ],
)
def test_a_question_with_something_else_is_none(text: str) -> None:
    index = NgramIndex([ITEM], 13, 3)
    assert len(index.find(Words.of([text]))) == 0


def test_a_question_of_eight_words_is_found_by_itself_unless_it_stands_in_several_items() -> None:
    long = "Which of these turns the old water wheel?"
    one = Item("b", "1", long, "the river", CHOICES)
    text = "So they asked: which of these turns the old water-wheel? Nobody knew."
    assert NgramIndex([one], 13, 3).find(Words.of([text])).length.tolist() == [8]
    for question in (long, f"Say at once: {long}"):
        other = Item("b", "2", question, "a miller", CHOICES)
        assert len(NgramIndex([one, other], 13, 3).find(Words.of([text]))) == 0


def test_a_leak_in_many_documents_is_no_common_phrase() -> None:
    """Of two items with one question each is known by its answers."""
    other = Item("b", "2", QUESTION, "a donkey", ("a donkey", "the wind", "the sun"))
    texts = [FORMS["letters"](QUESTION, CHOICES, "the river") + f"\nPage {n}" for n in range(20)]
    contamination = contamination_of({"b": [ITEM, other]}, texts, DetectionConfig(max_documents=30))["b"]
    assert contamination.contaminated.tolist() == [True, False]
    assert contamination.documents.tolist() == [20, 0]


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["who turns the", "wheel", "the", "river", "cat", "a", "A", "B", "1", "2", "1,2", "."]),
        max_size=40,
    ),
)
def test_what_is_found_has_the_question_and_the_right_answer(words: list[str]) -> None:
    item = Item("b", "1", "who turns the wheel", "the river", ("a cat", "the river", "1", "2"))
    text = " ".join(words)
    index = NgramIndex([item], 13, 3)
    hits = index.find(Words.of([text]))
    columns = index.find(Words.of_column(pa.array([text], pa.large_string())))
    assert all(np.array_equal(getattr(hits, name), getattr(columns, name)) for name in vars(hits))
    for start, end, length in zip(hits.start.tolist(), hits.end.tolist(), hits.length.tolist(), strict=True):
        found = text[start:end].lower()
        assert found.startswith("who turns the wheel")
        assert "the river" in found
        assert length <= len(found.split())


def test_a_page_that_asks_one_question_for_ever_costs_no_more_than_its_length() -> None:
    index = NgramIndex([NUMBERS, ITEM], 13, 3)
    hits = index.find(Words.of([f"{NUMBERS.question} {QUESTION} " * 20_000]))
    assert len(hits) == 0


@pytest.mark.shared
def test_items_of_mmlu_leak_in_all_forms_and_novels_have_none(shared_data: Path) -> None:
    folder = shared_data / "03_mmlu" / "stanford-cs336__assignment5-alignment" / "data" / "mmlu"
    items = mmlu_texts(read_mmlu(folder)[0])[::7]
    index = NgramIndex(items, 13, 3)
    novels = sorted((shared_data / "07_text").glob("*novels/corpus/*.txt"))[:4]
    assert len(index.find(Words.of([path.read_text() for path in novels]))) == 0
    for name in ("letters", "inline", "shuffled", "csv", "json"):
        texts = [FORMS[name](item.question, item.choices, item.answer) for item in items]
        hits = index.find(Words.of(texts))
        found = set(zip(hits.text.tolist(), index.item[hits.entry].tolist(), strict=True))
        assert sum((n, n) in found for n in range(len(items))) >= 0.97 * len(items), name
