"""tasks/evaluation/evaluate/controls.py: what is known without the question is measured, and held against the score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.benchmarks.base import Item, without_question
from tasks.benchmarks.registry import BENCHMARKS
from tasks.evaluation.evaluate.asking import ask
from tasks.evaluation.evaluate.benchmarks import Asking
from tasks.evaluation.evaluate.controls import controls_of, depends_on_order, verdict
from tasks.synthetic.questions.chosen import Chosen

Likes = Callable[[str, str], float]
MMLU, PIQA = BENCHMARKS["mmlu"], BENCHMARKS["piqa"]


class Reader:
    """A scorer whose scores follow a rule; it has a context without an end."""

    def __init__(self, likes: Likes) -> None:
        self.likes = likes

    def encode_pair(self, context: str, continuation: str) -> tuple[str, str]:
        return context, continuation

    def fits(self, continuation: str) -> bool:
        return "too long" not in continuation

    def score_ids(self, pairs: Sequence[tuple[str, str]]) -> list[SimpleNamespace]:
        return [SimpleNamespace(log_likelihood=self.likes(*pair), is_greedy=False, cut=0) for pair in pairs]


def never(*_: Any) -> Any:
    raise AssertionError("nothing is written")


def measured(likes: Likes, items: Sequence[Item], name: str = "piqa") -> dict[str, Any]:
    """The controls of a reader, as in the summary of its results."""
    scorer, benchmark = Reader(likes), BENCHMARKS[name]
    asking = Asking(benchmark, [Chosen(item, "", 0) for item in items], len(items))
    replies = ask(scorer, never, benchmark, asking.chosen)  # type: ignore[arg-type]
    return {"controls": controls_of(scorer, never, asking, replies)}  # type: ignore[arg-type]


def piqa(number: int) -> Item:
    """An item whose right choice is told by the question alone, and is the longer one in half of them."""
    right, wrong = f"way {number}", f"other way {number + 100}"
    gold = number % 2
    return Item((f"Question: {right}?\nAnswer:",), (wrong, right) if gold else (right, wrong), (gold,))


def mmlu(number: int, gold: int) -> Item:
    choices = [f"{'right' if place == gold else 'wrong'} {number} {place}" for place in range(4)]
    row = {"question": f"Question {number}?", "choices": choices, "answer": gold}
    return MMLU.item(row, "")


def test_a_reader_of_the_question_beats_all_controls() -> None:
    found = measured(
        lambda context, said: 0.0 if context and said.strip() in context else -50.0, [*map(piqa, range(40))]
    )
    controls = found["controls"]
    assert set(controls) == {"no_question"}  # each choice is scored by itself: their order cannot matter
    assert controls["no_question"]["value"] < 0.6
    assert verdict(found) is None


def test_a_reader_of_the_choices_does_not_beat_the_choices_alone() -> None:
    found = measured(lambda context, said: -float(len(said) ** 2), [*map(piqa, range(40))])
    assert found["controls"]["no_question"] == {"n": 40, "value": 1.0, "difference": 0.0, "difference_stderr": 0.0}
    assert verdict(found) == ("no_question", 1.0)


def test_a_reader_that_always_says_the_same_is_the_majority() -> None:
    items = [mmlu(number, 2 if number % 4 else 1) for number in range(40)]
    found = measured(lambda context, said: float(said == " C"), items, "mmlu")
    assert found["controls"]["majority"]["value"] == 0.75
    assert verdict(found) == ("majority", 0.75)
    assert depends_on_order(found)  # the right choices have moved to other letters
    assert found["controls"]["shuffled"]["value"] < 0.5


def test_places_that_nobody_sees_are_no_answer() -> None:
    """In TruthfulQA's files the first answer is the true one; that is of no use to who scores each by itself."""
    items = [Item(("Q:",), (f"true {number}", f"false {number}"), (0,)) for number in range(9)]
    assert "majority" not in measured(lambda context, said: 0.0, items)["controls"]
    words = [Item(("Q:",), ("no", "yes"), (int(number < 6),)) for number in range(9)]
    assert measured(lambda context, said: 0.0, words)["controls"]["majority"]["value"] == pytest.approx(6 / 9)


def test_a_reader_of_listed_choices_does_not_depend_on_their_order() -> None:
    def likes(context: str, letter: str) -> float:
        lines = [line for line in context.splitlines() if line.startswith(letter.strip() + ". ")]
        return float("right" in lines[-1]) if "Question" in context else 0.0

    found = measured(likes, [mmlu(number, number % 4) for number in range(40)], "mmlu")
    assert found["controls"]["shuffled"]["value"] == 1.0
    assert found["controls"]["no_question"]["value"] == 0.25
    assert verdict(found) is None
    assert not depends_on_order(found)


def test_the_question_is_taken_out_and_the_choices_stay() -> None:
    item = mmlu(7, 2)
    assert MMLU.blind is not None
    assert MMLU.reordered is not None
    assert MMLU.blind(item).contexts[0] == "\n" + item.contexts[0].partition("\n")[2]
    other = MMLU.reordered(item)
    assert other.gold != item.gold
    assert sorted(other.facts["choices"]) == sorted(item.facts["choices"])
    assert other.facts["choices"][other.gold[0]] == item.facts["choices"][2]
    assert without_question(piqa(1)).contexts == ("",)
    partial = Item(("It was old Anna", "It was old Ann B"), ("who fell.",), (1,))
    assert without_question(partial).contexts == ("Anna", "Ann B")


def test_items_that_were_not_asked_are_left_out() -> None:
    items = [*map(piqa, range(3)), replace(piqa(4), choices=("too long", "way"))]
    assert measured(lambda context, said: 0.0, items)["controls"]["no_question"]["n"] == 3
    assert measured(lambda context, said: 0.0, items[3:]) == {"controls": {}}


@pytest.mark.parametrize("name", ["wikitext", "lambada_openai", "crows_pairs_english"])
def test_what_is_no_choice_or_no_ability_has_no_controls(name: str) -> None:
    asking = Asking(BENCHMARKS[name], [Chosen(piqa(1), "", 0)], 1)
    assert controls_of(Reader(lambda *_: 0.0), never, asking, [None]) == {}  # type: ignore[arg-type]
