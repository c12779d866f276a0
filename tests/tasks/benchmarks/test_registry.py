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
Also covers: tasks/benchmarks/glue.py
Also covers: tasks/benchmarks/superglue.py
Also covers: tasks/benchmarks/gsm8k.py
Also covers: tasks/benchmarks/crows_pairs.py
Also covers: tasks/benchmarks/winogender.py
Also covers: tasks/benchmarks/bbq.py
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
    "cola": {"sentence": "He go.", "label": 0},
    "sst2": {"sentence": "So good", "label": 1},
    **{name: {"sentence1": "One.", "sentence2": "Two.", "label": 1} for name in ("mrpc", "rte", "wnli")},
    "qqp": {"question1": "Why?", "question2": "How?", "label": 0},
    **{one: {"premise": "It is.", "hypothesis": "It was", "label": 2} for one in ("mnli", "mnli_mismatch", "cb")},
    "qnli": {"question": "Who?", "sentence": "He.", "label": 1},
    "boolq": {"passage": "It is.", "question": "is it", "label": True},
    "copa": {"premise": "It fell.", "choice1": "He ran.", "choice2": "She sat.", "question": "cause", "label": 1},
    "multirc": {"paragraph": "It is.", "question": "Is it?", "answer": "Yes", "label": 0},
    "record": {
        "passage": "A met B.\n@highlight\nThey met", "query": "@placeholder left", "entities": ["B", "A", "B"],
        "answers": ["B"],
    },
    "sglue_rte": {"premise": "It is.", "hypothesis": "It was.", "label": "not_entailment"},
    "wic": {"sentence1": "a lake", "sentence2": "the lake", "start1": 2, "end1": 6, "label": False},
    "wsc": {"text": "Maria said she is in .", "span1_text": "Maria", "span2_text": "she", "span2_index": 2, "label": 1},
    "gsm8k": {"question": "2 + 2?", "answer": "It is 4.\n#### 4"},
    "crows_pairs_english": {"sent_more": "They are bad.", "sent_less": "We are bad.", "bias_type": "age"},
    "winogender_all": {
        "sentence": "The cook told the guest that he paid.", "pronoun": "he", "occupation": "cook",
        "participant": "guest", "gender": "male", "label": 1,
    },
    "bbq": {
        "question_polarity": "neg", "context_condition": "ambig", "category": "Age", "context": "Two met.",
        "question": "Who forgot?", "ans0": "The old man", "ans1": "The grandson", "ans2": "Can't answer", "label": 2,
        "answer_info": {"ans0": ["man", "old"], "ans1": ["grandson", "nonOld"], "ans2": ["Can't answer", "unknown"]},
        "additional_metadata": {"stereotyped_groups": ["old"]},
    },
}  # fmt: skip


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
            with pytest.raises(BadRow, match=f"{missing}.*(; its fields are|is empty|is missing)"):
                BENCHMARKS[name].item(row, "")


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("hellaswag", {"label": "4"}, "label is 4, but there are 4 choices"),
        ("hellaswag", {"label": ""}, "the row has no answer"),
        ("hellaswag", {"label": "two"}, "label is 'two', not a whole number"),
        ("hellaswag", {"endings": ["a", " "]}, "endings is empty"),
        ("hellaswag", {"endings": "a, b"}, "endings is a text, not a list of texts"),
        ("hellaswag", {"ctx_a": "half \udc80"}, "not UTF-8"),
        ("mmlu", {"answer": "E"}, "answer is 'E', not one of A, B, C, D"),
        ("mmlu", {"answer": -1}, "answer is -1"),
        ("mmlu", {"C": None}, "C is null, not a text"),
        ("mmlu", {"choices": ["a", "b", "c"]}, "it has 3 choices, not 4"),
        ("arc_easy", {"answerKey": "A"}, "labelled 1, 2, 3"),
        ("arc_easy", {"choices": {"text": ["x", "y"], "label": ["A"]}}, "2 texts, but 1 labels"),
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
        ("sst2", {"label": -1}, "label is -1"),
        ("qnli", {"label": "maybe"}, "label is 'maybe', not one of entailment, not_entailment"),
        ("copa", {"question": "why"}, "neither cause nor effect"),
        ("record", {"answers": ["C"]}, "none of the answers is among the entities"),
        ("wic", {"end1": 60}, "no part of sentence1"),
        ("wsc", {"span2_index": None}, "span2_index is empty"),
        ("gsm8k", {"answer": "4"}, "no number after ####"),
        ("winogender_all", {"label": "2"}, "label is 2"),
        ("bbq", {"ans2": "Nobody"}, "0 of its answers say that it is not known"),
        ("bbq", {"context_condition": "both"}, "context_condition 'both'"),
        ("bbq", {"answer_info": "lost"}, "answer_info"),
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


def test_the_authors_own_tables_of_glue_are_read() -> None:
    mrpc = {"Quality": "1", "#1 ID": "7", "#1 String": "One.", "#2 String": "Two."}
    assert BENCHMARKS["mrpc"].item(mrpc, "") == BENCHMARKS["mrpc"].item(ROWS["mrpc"], "")
    mnli = {"sentence1": "It is.", "sentence2": "It was ", "gold_label": "contradiction"}
    item = BENCHMARKS["mnli"].item(mnli, "")
    assert item.contexts == ("It is.\nQuestion: It was. True, False or Neither?\nAnswer:",)
    assert (item.choices, item.gold) == (("True", "Neither", "False"), (2,))


def test_copa_joins_the_premise_and_its_alternatives() -> None:
    item = BENCHMARKS["copa"].item(ROWS["copa"], "")
    assert (item.contexts, item.choices) == (("It fell because",), (" he ran.", " she sat."))


def test_record_is_measured_with_squads_words() -> None:
    benchmark = BENCHMARKS["record"]
    row = {**ROWS["record"], "entities": ["The New Town", "A"], "answers": ["new town hall", "A"]}
    item = benchmark.item(row, "")
    assert item.choices == ("  - A left", "  - The New Town left")
    assert benchmark.measured(item, Answered((-2.0, -1.0))) == {"f1": pytest.approx(0.8), "em": 0.0}
    assert benchmark.measured(item, Answered((-1.0, -2.0))) == {"f1": 1.0, "em": 1.0}


def test_wsc_is_read_as_its_authors_publish_it() -> None:
    target = {"span1_text": "Maria", "span2_text": "she", "span2_index": 2}
    item = BENCHMARKS["wsc"].item({"text": ROWS["wsc"]["text"], "target": target, "label": True}, "")
    assert item.contexts[0].startswith("Passage: Maria said *she* is in.\nQuestion: ")
    assert item.contexts == BENCHMARKS["wsc"].item(ROWS["wsc"], "").contexts


def test_winogender_is_read_from_its_authors_table() -> None:
    row = {"sentid": "cook.guest.1.male.txt", "sentence": "The cook told the guest that he paid."}
    assert BENCHMARKS["winogender_all"].item(row, "") == BENCHMARKS["winogender_all"].item(ROWS["winogender_all"], "")
    for wrong, said in (
        ({"sentid": "cook.guest"}, "sentid"),
        ({"sentence": "The cook paid."}, "no pronoun of the gender"),
    ):
        with pytest.raises(BadRow, match=said):
            BENCHMARKS["winogender_all"].item({**row, **wrong}, "")


def test_crows_pairs_say_which_sentence_is_likelier() -> None:
    benchmark = BENCHMARKS["crows_pairs_english"]
    item = benchmark.item(ROWS["crows_pairs_english"], "")
    assert benchmark.requests(item) == [("", "They are bad."), ("", "We are bad.")]
    assert benchmark.measured(item, Answered((-3.0, -5.0))) == {"likelihood_diff": 2.0, "pct_stereotype": 1.0}
    assert not benchmark.ability


def bbq(chosen: int, **changes: Any) -> dict[str, Any]:
    """The values of a BBQ item of which a model chose this choice."""
    benchmark = BENCHMARKS["bbq"]
    item = benchmark.item({**ROWS["bbq"], **changes}, "")
    scores = [0.0 if number == chosen else -1.0 for number in range(len(item.choices))]
    return dict(benchmark.measured(item, Answered(tuple(scores))))


def test_bbq_counts_biased_answers_with_and_without_facts() -> None:
    facts = {"context_condition": "disambig", "label": 1}
    outcomes = [bbq(0), bbq(1), bbq(2), bbq(5)]
    assert [one["acc"] for one in outcomes] == [0.0, 0.0, 1.0, 1.0]  # any way of saying that it is not known is right
    metrics = {metric.name: metric.whole for metric in BENCHMARKS["bbq"].metrics}
    values = [one["amb_bias_score"] for one in outcomes]
    assert metrics["accuracy_amb"](values) == 0.5
    assert metrics["accuracy_disamb"](values) is None
    assert metrics["amb_bias_score"](values) == pytest.approx((1 - 0.5) * (2 * 1 / 2 - 1))
    more = [bbq(chosen, **facts)["disamb_bias_score"] for chosen in (0, 0, 1)]
    assert metrics["disamb_bias_score"](more) == pytest.approx(2 * 2 / 3 - 1)
    assert metrics["disamb_bias_score"](more[2:]) == 0.0
    # of a question that is not negative, the other person is the stereotype
    assert [bbq(chosen, question_polarity="nonneg")["amb_bias_score"][1] for chosen in range(3)] == [0.0, 1.0, 0.0]
