"""tasks/evaluation/evaluate/benchmarks.py: prompts, accuracies and standard errors as lm-eval 0.4.13 has them."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem
from tasks.evaluation.evaluate.benchmarks import (
    Accuracy,
    Question,
    answer,
    better_format,
    clean_hellaswag,
    hellaswag_question,
    mean_and_stderr,
    mmlu_cloze,
    mmlu_letters,
)

ITEM = MmluItem("high_school_physics", " What falls? ", ("up", "an apple", "a bird", "light"), 1)
SHOT = MmluItem("high_school_physics", "What is?", ("a", "b", "c", "d"), 3)


def test_hellaswag_prompt() -> None:
    item = HellaSwagItem(0, "Roof", "A man  sits. [header] Steps [title] One", "he Waves", "", ("[step] goes.", "b"), 0)
    asked = hellaswag_question(item)
    assert asked.context == "Roof: A man sits. Steps. One He waves"
    assert asked.continuations == ("  goes.", " b")
    assert clean_hellaswag(" a   b ") == "a  b"  # two spaces become one once, not until none is left


def test_mmlu_prompts() -> None:
    asked = mmlu_letters(ITEM, [SHOT])
    assert asked.context == (
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
        "What is?\nA. a\nB. b\nC. c\nD. d\nAnswer: D\n\n"
        "What falls?\nA. up\nB. an apple\nC. a bird\nD. light\nAnswer:"
    )
    assert asked.continuations == (" A", " B", " C", " D")
    cloze = mmlu_cloze(ITEM, [SHOT])
    assert cloze.context == (
        "The following are questions (with answers) about high school physics.\n\n"
        "Question: What is?\nAnswer: d\n\nQuestion: What falls?\nAnswer:"
    )
    assert cloze.continuations[1] == " an apple"
    assert cloze.gold == 1


class Fixed:
    """A scorer that knows the score of each continuation."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores

    def encode_pair(self, context: str, continuation: str) -> tuple[str, str]:
        return context, continuation

    def fits(self, continuation: str) -> bool:
        return continuation in self.scores

    def score_ids(self, pairs: list[tuple[str, str]]) -> list[SimpleNamespace]:
        return [SimpleNamespace(log_likelihood=self.scores[text], cut=len(context) // 10) for context, text in pairs]


def test_acc_is_by_sum_and_acc_norm_by_character() -> None:
    questions = [
        Question("q", (" no", " a long answer"), ("no", "a long answer"), 1),
        Question("q", (" no", " no"), ("no", "no"), 0),  # equal scores: the first one is the answer
    ]
    found = answer(Fixed({" no": -2.0, " a long answer": -6.0}), questions)  # type: ignore[arg-type]
    assert (found.acc, found.acc_norm, found.n, found.chance) == (0.5, 1.0, 2, 0.5)
    assert found.items[0]["log_likelihoods"] == [-2.0, -6.0]
    assert found.acc_stderr == pytest.approx(0.5)


def test_prompts_that_are_cut_are_counted_and_choices_that_are_too_long_leave_their_item_out() -> None:
    questions = [
        Question("q", (" no", " much too long"), ("no", "much too long"), 0),
        Question("a long question", (" no", " yes"), ("no", "yes"), 1),
        Question("q", (" no", " yes"), ("no", "yes"), 1),
    ]
    found = answer(Fixed({" no": -2.0, " yes": -1.0}), questions)  # type: ignore[arg-type]
    assert (found.n, found.n_too_long, found.n_truncated, found.acc) == (2, 1, 1, 1.0)
    assert [(item["item"], item["tokens_cut"]) for item in found.items] == [(1, 1), (2, 0)]
    nothing = answer(Fixed({}), questions)  # type: ignore[arg-type]
    assert (nothing.n, nothing.n_too_long, nothing.acc, nothing.chance) == (0, 3, None, None)


def test_standard_error() -> None:
    assert mean_and_stderr([1, 0, 0, 1]) == (0.5, pytest.approx(math.sqrt(1 / 3 / 4)))
    assert mean_and_stderr([1]) == (1.0, None)


def test_the_better_format_is_reported() -> None:
    def accuracy(value: float) -> Accuracy:
        return Accuracy(10, 0.25, 0.0, 0.0, value, 0.1)

    unasked = Accuracy(0, None, None, None, None, None)
    assert better_format({"letters": accuracy(0.0), "cloze": unasked})[0] == "letters"
    assert better_format({"letters": accuracy(0.2), "cloze": accuracy(0.4)}) == ("cloze", 0.4, 0.1)
