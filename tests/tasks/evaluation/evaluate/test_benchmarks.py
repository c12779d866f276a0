"""tasks/evaluation/evaluate/benchmarks.py: metrics of all items, of parts of them and of subjects; a row per item."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tasks.benchmarks.base import Answered, Item
from tasks.benchmarks.registry import BENCHMARKS
from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem
from tasks.evaluation.evaluate.asking import Reply
from tasks.evaluation.evaluate.benchmarks import Asking, Results, better_format, formats, results_of, rows_of
from tasks.synthetic.questions.chosen import Chosen
from tasks.synthetic.questions.files import Asked, Seen

MMLU = MmluItem("high_school_physics", " What falls? ", ("up", "an apple", "a bird", "light"), 1)
SHOT = MmluItem("high_school_physics", "What is?", ("a", "b", "c", "d"), 3)
HELLASWAG = HellaSwagItem(0, "Roof", "A man sits", "", "", ("goes", "b"), 0)


def asked(**more: object) -> Asked:
    seen = {"hellaswag": Seen([True], [0.5]), "mmlu": Seen([False], [0.0])}
    available = {"hellaswag": 7, "mmlu": 8, "piqa": 9}
    return Asked([], [HELLASWAG], [MMLU], {MMLU.subject: [SHOT]}, seen, available, {}, **more)  # type: ignore[arg-type]


def piqa(*replies: Reply | None, subjects: str = "", flags: tuple[bool, ...] = ()) -> Results:
    """The results of items whose first choice is right."""
    flags = flags or (False,) * len(replies)
    chosen = [
        Chosen(Item(("Q:",), ("no", "a long answer"), (0,), subject), "", 0, flag)
        for subject, flag in zip(subjects or " " * len(replies), flags, strict=True)
    ]
    return results_of(Asking(BENCHMARKS["piqa"], chosen, 9), replies, 1000)


def reply(*scores: float, cut: int = 0) -> Reply:
    return Reply(Answered(scores, tuple(False for _ in scores)), 5, cut)


def test_made_items_are_asked_in_both_formats_with_their_shots() -> None:
    found = formats(asked(), 1)
    assert list(found) == ["hellaswag", "mmlu_letters", "mmlu_cloze"]
    letters, cloze = found["mmlu_letters"].chosen[0], found["mmlu_cloze"].chosen[0]
    description = "The following are multiple choice questions (with answers) about high school physics.\n\n"
    assert letters.before == f"{description}What is?\nA. a\nB. b\nC. c\nD. d\nAnswer: D\n\n"
    assert letters.item.contexts == ("What falls?\nA. up\nB. an apple\nC. a bird\nD. light\nAnswer:",)
    assert cloze.before.endswith("about high school physics.\n\nQuestion: What is?\nAnswer: d\n\n")
    assert (letters.shots, found["mmlu_cloze"].available) == (1, 8)
    assert found["hellaswag"].chosen[0].contaminated
    assert formats(asked(), 0)["mmlu_letters"].chosen[0].before == description


def test_items_without_a_question_are_asked_too() -> None:
    """Of the user's own files; their choices are all that a model reads."""
    plain = asked()
    bare = Asked([], [replace(HELLASWAG, ctx_a="")], [replace(MMLU, question=" ")], {}, plain.seen, plain.available, {})
    assert [len(one.chosen) for one in formats(bare, 0).values()] == [1, 1, 1]


def test_official_benchmarks_come_after_them() -> None:
    chosen = [Chosen(Item(("Q:",), ("a", "b")), "", 0)]
    found = formats(asked(benchmarks={"piqa": chosen}), 0)
    assert list(found)[-1] == "piqa"
    assert (found["piqa"].chosen, found["piqa"].available) == (chosen, 9)


def test_items_that_were_not_asked_are_counted_apart() -> None:
    summary = piqa(reply(-2.0, -6.0, cut=3), None, reply(-3.0, -2.5)).summary()
    assert (summary["n"], summary["n_too_long"], summary["n_truncated"], summary["available"]) == (2, 1, 1, 9)
    assert (summary["acc"], summary["acc_norm"], summary["chance"]) == (0.5, 0.0, 0.5)
    assert summary["acc_stderr"] == pytest.approx(0.5)
    nothing = piqa(None, None).summary()
    assert (nothing["n"], nothing["n_too_long"], nothing["acc"], nothing["chance"]) == (0, 2, None, None)


def test_clean_and_contaminated_items_have_their_own_means_and_errors() -> None:
    right, wrong = reply(-1.0, -20.0), reply(-30.0, -1.0)
    summary = piqa(right, wrong, right, right, flags=(False, False, True, True)).summary()
    assert summary["acc"] == 0.75
    assert {name: summary["clean"][name] for name in ("n", "acc", "acc_stderr")} == {
        "n": 2, "acc": 0.5, "acc_stderr": pytest.approx(math.sqrt(0.5 / 2)),
    }  # fmt: skip
    assert (summary["contaminated"]["acc"], summary["contaminated"]["acc_stderr"]) == (1.0, 0.0)
    alone = piqa(right).summary()
    assert (alone["contaminated"]["n"], alone["contaminated"]["acc"]) == (0, None)
    assert (alone["acc"], alone["acc_stderr"]) == (1.0, None)


def test_subjects_have_results_of_their_own() -> None:
    right, wrong = reply(-1.0, -20.0), reply(-30.0, -1.0)
    summary = piqa(right, wrong, right, subjects="aab").summary()
    assert {name: (one["n"], one["acc"]) for name, one in summary["subjects"].items()} == {"a": (2, 0.5), "b": (1, 1.0)}
    assert piqa(right, wrong).summary()["subjects"] == {}


def test_every_item_has_a_row() -> None:
    found = piqa(None, reply(-2.0, -1.0, cut=1), flags=(False, True))
    (row,) = rows_of({"piqa": found})
    assert (row["benchmark"], row["item"], row["answer"], row["reference"]) == ("piqa", 1, "a long answer", "no")
    assert (row["score"], row["correct"], row["correct_norm"]) == (0.0, False, False)
    assert (row["tokens"], row["tokens_cut"], row["truncated"], row["contaminated"]) == (5, 1, True, True)
    assert "chance" not in row


def test_texts_have_perplexities_and_no_chance() -> None:
    item = Item(("",), ("a text",), facts={"words": 2, "bytes": 6})
    found = results_of(Asking(BENCHMARKS["wikitext"], [Chosen(item, "", 0)], 1), [reply(-6.0)], 10)
    summary = found.summary()
    assert summary["word_perplexity"] == pytest.approx(math.exp(3))
    assert summary["bits_per_byte"] == pytest.approx(1 / math.log(2))
    assert (summary["metric"], summary["chance"], summary["bits_per_byte_stderr"]) == ("bits_per_byte", None, None)
    assert (found.rows[0]["score"], found.rows[0]["correct"]) == (None, None)


def test_a_share_of_probability_is_neither_right_nor_wrong() -> None:
    chosen = [Chosen(Item(("Q:",), ("no", "never", "yes"), (0, 1)), "", 0)]
    found = results_of(Asking(BENCHMARKS["truthfulqa_mc2"], chosen, 1), [reply(-1.0, -1.0, -900.0)], 10)
    assert (found.summary()["acc"], found.rows[0]["score"], found.rows[0]["correct"]) == (1.0, 1.0, None)


def test_the_better_format_is_reported() -> None:
    assert better_format({"letters": {"acc_norm": 0.0}, "cloze": {"acc_norm": None}}) == "letters"
    assert better_format({"letters": {"acc_norm": 0.2}, "cloze": {"acc_norm": 0.4}}) == "cloze"
