"""Every benchmark of tasks/benchmarks/registry.py: rows in the official formats, and what is wrong with others.

The prompts themselves are compared with lm-eval's in tests/parity/test_benchmarks.py.

Also covers: tasks/benchmarks/fields.py
Also covers: tasks/benchmarks/hellaswag.py
Also covers: tasks/benchmarks/mmlu.py
Also covers: tasks/benchmarks/arc.py
Also covers: tasks/benchmarks/piqa.py
Also covers: tasks/benchmarks/winogrande.py
Also covers: tasks/benchmarks/truthfulqa.py
Also covers: tasks/benchmarks/lambada.py
Also covers: tasks/benchmarks/wikitext.py
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.benchmarks.base import Answered, BadRow
from tasks.benchmarks.registry import BENCHMARKS

HELLASWAG = {
    "activity_label": "Roof", "ctx_a": "A man  sits. [header] Steps [title] One", "ctx_b": "he Waves",
    "endings": ["[step] goes.", "b", "c", "d"], "label": "0", "source_id": "wikihow~7",
}  # fmt: skip
MMLU = {"question": " What falls? ", "A": "up", "B": "an apple", "C": "a bird", "D": "light", "answer": "B"}
ARC = {"question": "Why?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "3"}
PIQA = {"goal": "To sit", "sol1": "Sit.", "sol2": "Stand.", "label": 0}
WINOGRANDE = {"sentence": "A met B, so _ left early.", "option1": "A", "option2": "B", "answer": "2"}
TRUTHFULQA = {
    "question": "Is it?", "mc1_targets": {"choices": ["No", "Yes"], "labels": [1, 0]},
    "mc2_targets": {"choices": ["No", "Not at all", "Yes"], "labels": [1, 1, 0]},
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "hellaswag": HELLASWAG,
    "mmlu": MMLU,
    "mmlu_continuation": MMLU,
    "arc_easy": ARC,
    "arc_challenge": ARC,
    "piqa": PIQA,
    "winogrande": WINOGRANDE,
    "truthfulqa_mc1": TRUTHFULQA,
    "truthfulqa_mc2": TRUTHFULQA,
    "lambada_openai": {"text": "He opened the old door"},
    "wikitext": {"page": " = A page = \n 1 @,@ 000 words ."},
}


def test_every_benchmark_has_an_example_here() -> None:
    assert set(ROWS) == set(BENCHMARKS)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_an_item(name: str) -> None:
    benchmark, item = BENCHMARKS[name], BENCHMARKS[name].item(ROWS[name], "physics")
    assert item.question
    assert all(0 <= place < len(item.options) for place in item.gold)
    assert benchmark.requests(item, benchmark.before(item, [item]))


@pytest.mark.parametrize("name", ROWS)
def test_each_missing_field_is_named(name: str) -> None:
    for missing in ROWS[name]:
        row = {field: value for field, value in ROWS[name].items() if field != missing}
        if missing in ("source_id", "mc1_targets", "mc2_targets") and name != f"truthfulqa_{missing[:3]}":
            BENCHMARKS[name].item(row, "")  # another benchmark of these files reads it
        else:
            with pytest.raises(BadRow, match=f"{missing}.*; its fields are"):
                BENCHMARKS[name].item(row, "")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("hellaswag", {"label": "4"}, "label is 4, but there are 4 choices"),
        ("hellaswag", {"label": ""}, "the row has no answer"),
        ("hellaswag", {"label": "two"}, "label is a text, not a whole number"),
        ("hellaswag", {"endings": ["a", " "]}, "endings is empty"),
        ("hellaswag", {"endings": "a, b"}, "endings is a text, not a list of texts"),
        ("hellaswag", {"ctx_a": "half \udc80"}, "not UTF-8"),
        ("mmlu", {"answer": "E"}, "answer is a text, not a whole number"),
        ("mmlu", {"answer": -1}, "answer is -1"),
        ("mmlu", {"C": None}, "C is null, not a text"),
        ("mmlu", {"choices": ["a", "b", "c"]}, "it has 3 choices, not 4"),
        ("arc_easy", {"answerKey": "A"}, "labelled 1, 2, 3"),
        ("arc_easy", {"choices": ["x", "y"]}, "neither an object of text and label"),
        ("piqa", {"label": -1}, "label is -1"),
        ("piqa", {"sol2": ""}, "sol2 is empty"),
        ("winogrande", {"sentence": "No blank."}, "no blank"),
        ("winogrande", {"answer": ""}, "the row has no answer"),
        ("truthfulqa_mc1", {"mc1_targets": {"choices": ["a", "b"], "labels": [0, 1]}}, "not the first"),
        ("truthfulqa_mc2", {"mc2_targets": {"choices": ["a"], "labels": [1, 0]}}, "not a label for each"),
        ("truthfulqa_mc2", {"mc2_targets": {"choices": ["a"], "labels": [0]}}, "no true answer"),
        ("lambada_openai", {"text": "word"}, "several words"),
        ("wikitext", {"page": ["a"]}, "page is a list, not a text"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(name: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRow, match=said):
        BENCHMARKS[name].item({**ROWS[name], **changes}, "")


def test_hellaswag_is_cleaned_as_in_lm_eval() -> None:
    item = BENCHMARKS["hellaswag"].item(HELLASWAG, "")
    assert item.contexts == ("Roof: A man sits. Steps. One He waves",)
    assert item.choices[0] == " goes."
    assert (item.subject, item.answer) == ("wikihow", " goes.")


def test_mmlu_is_asked_by_letter_or_by_text() -> None:
    letters, text = (BENCHMARKS[name].item(MMLU, "high_school_physics") for name in ("mmlu", "mmlu_continuation"))
    assert letters.description == (
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
    )
    assert letters.contexts == ("What falls?\nA. up\nB. an apple\nC. a bird\nD. light\nAnswer:",)
    assert letters.choices == ("A", "B", "C", "D")
    assert (text.contexts, text.choices[1], text.gold) == (("Question: What falls?\nAnswer:",), "an apple", (1,))
    assert letters.answer == text.answer == "an apple"
    hub = {"question": "What falls?", "subject": "physics", "choices": ["a", "b", "c", "d"], "answer": 3}
    assert (BENCHMARKS["mmlu"].item(hub, "").subject, BENCHMARKS["mmlu"].item(hub, "").gold) == ("physics", (3,))


def test_arc_is_read_as_its_authors_publish_it() -> None:
    stem = {"stem": "Why?", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]}
    item = BENCHMARKS["arc_challenge"].item({"id": "1", "question": stem, "answerKey": "B"}, "")
    assert (item.contexts, item.choices, item.gold) == (("Question: Why?\nAnswer:",), ("x", "y"), (1,))


def test_truthfulqa_is_read_from_its_other_files() -> None:
    task = {"question": "Is it?", "mc1_targets": {"No": 1, "Yes": 0}, "mc2_targets": {"No": 1, "Never": 1, "Yes": 0}}
    table = {
        "Question": "Is it?", "Best Answer": "No", "Correct Answers": "No; Never", "Incorrect Answers": "Yes; Maybe",
    }  # fmt: skip
    for row, wrong in ((task, ("Yes",)), (table, ("Yes", "Maybe"))):
        one, several = (BENCHMARKS[name].item(row, "") for name in ("truthfulqa_mc1", "truthfulqa_mc2"))
        assert (one.choices, one.gold) == (("No", *wrong), (0,))
        assert (several.choices, several.gold) == (("No", "Never", *wrong), (0, 1))


def test_truthfulqas_mc2_is_the_share_of_probability_of_what_is_true() -> None:
    benchmark = BENCHMARKS["truthfulqa_mc2"]
    item = benchmark.item(TRUTHFULQA, "")
    assert benchmark.measured(item, Answered((-2000.0, -2000.0, -2000.0)))["acc"] == pytest.approx(2 / 3)


def test_llm_foundrys_lambada_is_the_same_item() -> None:
    benchmark = BENCHMARKS["lambada_openai"]
    foundry = benchmark.item({"context": "He opened the old", "continuation": "door"}, "")
    assert foundry == benchmark.item(ROWS["lambada_openai"], "")


def test_wikitext_counts_words_and_bytes_before_it_joins_what_was_split() -> None:
    item = BENCHMARKS["wikitext"].item(ROWS["wikitext"], "")
    assert item.choices == (" = A page =\n1,000 words .",)
    assert item.facts == {"words": 10, "bytes": 31}
