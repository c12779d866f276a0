"""tasks/evaluation/evaluate/asking.py: what a model is given of an item, and what is counted where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from tasks.benchmarks.base import Answered, Benchmark, Item
from tasks.benchmarks.registry import BENCHMARKS
from tasks.evaluation.evaluate.asking import MAX_NEW_TOKENS, Reply, ask
from tasks.evaluation.evaluate.writing import Written
from tasks.synthetic.questions.chosen import Chosen

PIQA = BENCHMARKS["piqa"]


class Fixed:
    """A scorer that knows the score of each continuation, and whose context holds 20 letters."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores

    def encode_pair(self, context: str, continuation: str) -> tuple[str, str]:
        return context, continuation

    def fits(self, continuation: str) -> bool:
        return continuation in self.scores

    def score_ids(self, pairs: Sequence[tuple[str, str]]) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(log_likelihood=self.scores[text], is_greedy=True, cut=max(0, len(context + text) - 20))
            for context, text in pairs
        ]

    def rolling(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        return [(-float(len(text)), len(text)) for text in texts]


def never(prompts: Sequence[str], until: Sequence[str], most: int) -> list[Written]:
    raise AssertionError("nothing is written")


def asked(benchmark: Benchmark, items: Sequence[Chosen], write: Any = never) -> list[Reply | None]:
    return ask(Fixed({" no": -2.0, " yes": -1.0}), write, benchmark, items)  # type: ignore[arg-type]


def test_an_item_with_a_choice_that_does_not_fit_is_not_asked_and_the_others_are() -> None:
    items = [Chosen(Item((context,), choices), "", 0) for context, choices in (
        ("Q", ("no", "far too long")), ("a long context", ("no", "yes")), ("Q", ("yes", "no")),
    )]  # fmt: skip
    nothing, cut, plain = asked(PIQA, items)
    assert nothing is None
    assert cut == Reply(Answered((-2.0, -1.0), (True, True)), 35, 0)
    assert plain == Reply(Answered((-1.0, -2.0), (True, True)), 9, 0)


def test_tokens_that_were_cut_are_counted() -> None:
    (reply,) = asked(PIQA, [Chosen(Item(("a context",), ("no", "yes")), "shots before ", 1)])
    assert reply is not None
    assert reply.cut == 6  # of the longer request: 22 letters and " yes"
    assert reply.tokens == 20 + 20


def test_whole_texts_are_scored_in_windows() -> None:
    items = [Chosen(Item(("",), (text,)), "", 0) for text in ("one", "longer")]
    assert asked(BENCHMARKS["wikitext"], items) == [
        Reply(Answered((-3.0,), (False,)), 3), Reply(Answered((-6.0,), (False,)), 6),
    ]  # fmt: skip


def test_answers_are_written_until_a_stop_text() -> None:
    seen: list[object] = []

    def write(*given: object) -> list[Written]:
        seen.append(given)
        return [Written("42", 7, 1), Written("", 3)]

    benchmark = Benchmark("sums", lambda row, subject: Item((), ()), "generate", until=("Q:",))
    items = [Chosen(Item((question,), ("42",)), "2 × 2? 4\n\n", 1) for question in ("6 × 7?", "Why?")]
    replies = asked(benchmark, items, write)
    assert seen == [(["2 × 2? 4\n\n6 × 7?", "2 × 2? 4\n\nWhy?"], ("Q:",), MAX_NEW_TOKENS)]
    assert replies == [Reply(Answered(text="42"), 7, 1), Reply(Answered(text=""), 3, 0)]
