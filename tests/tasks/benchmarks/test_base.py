"""tasks/benchmarks/base.py: requests and shots of each kind of item, and what a model's replies are worth."""

from __future__ import annotations

import pytest

from tasks.benchmarks.base import ACC, Answered, Benchmark, Item, choice_values, first_best


def item_of(row: dict[str, object], subject: str) -> Item:
    raise AssertionError("nothing is read here")


CHOICE = Benchmark("one", item_of)
PLAIN = Item(("Q:",), ("no", "a long answer"), (1,), description="About.\n\n")
PARTIAL = Item(("It was A", "It was B"), ("who fell.",), (1,))


def test_choices_follow_the_context_and_its_shots() -> None:
    before = CHOICE.before(PLAIN, [PLAIN])
    assert before == "About.\n\nQ: a long answer\n\n"
    assert CHOICE.requests(PLAIN, before) == [(f"{before}Q:", " no"), (f"{before}Q:", " a long answer")]


def test_in_a_partial_evaluation_the_contexts_differ() -> None:
    assert CHOICE.shot(PARTIAL) == "It was B who fell.\n\n"
    assert CHOICE.requests(PARTIAL, "x ") == [("x It was A", " who fell."), ("x It was B", " who fell.")]
    assert PARTIAL.options == PARTIAL.contexts
    assert choice_values(PARTIAL, Answered((-3.0, -2.0)))["acc"] == 1.0


def test_other_outputs_have_one_request() -> None:
    greedy, rolling = Benchmark("g", item_of, "greedy"), Benchmark("r", item_of, "rolling")
    written = Benchmark("w", item_of, "generate")
    word = Item(("The last",), (" word",))
    assert greedy.requests(word) == [("The last", " word")]
    assert greedy.shot(word) == "The last  word\n\n"  # as in lm-eval, whose target begins with the space itself
    assert (rolling.before(PLAIN, [PLAIN]), rolling.requests(word)) == ("", [("", " word")])
    assert written.requests(word, "Q. ") == [("Q. The last", "")]
    assert greedy.measured(word, Answered((-1.5,), (True,))) == {"acc": 1.0, "perplexity": -1.5}
    with pytest.raises(NotImplementedError):
        written.measured(word, Answered(text="x"))


def test_acc_is_by_sum_acc_norm_by_character_and_acc_bytes_by_byte() -> None:
    values = choice_values(PLAIN, Answered((-2.0, -6.0)))
    assert (values["acc"], values["acc_norm"], values["acc_bytes"]) == (0.0, 1.0, 1.0)
    umlauts = Item(("Q:",), ("öäüöäü", "abcdefgh"), (0,))
    values = choice_values(umlauts, Answered((-6.2, -8.0)))
    assert (values["acc"], values["acc_norm"], values["acc_bytes"]) == (1.0, 0.0, 1.0)
    assert first_best([-1.0, -1.0]) == 0  # equal scores: the first one is the answer


def test_any_of_several_right_choices_counts() -> None:
    several = Item(("Q:",), ("a", "b", "c"), (1, 2))
    assert [choice_values(several, Answered(scores))["acc"] for scores in ((-1, -2, -3), (-3, -2, -1))] == [0.0, 1.0]


def test_the_main_metric_is_the_headline_or_the_first() -> None:
    assert CHOICE.main == ACC
    assert Benchmark("n", item_of, headline="acc_norm").main.name == "acc_norm"
