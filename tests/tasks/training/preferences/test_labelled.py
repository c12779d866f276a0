"""tasks/training/preferences/labelled.py: KTO's labelled answers become pairs by prompt, or it is said why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.stage import local_output
from tasks.training.preferences import PreferencesConfig, preferences
from tasks.training.preferences.formats import Preference
from tasks.training.preferences.labelled import Labelled, Placed, paired, preference_or_labelled
from tasks.training.sft.formats import NoConversation


def answer(prompt: str, text: str, label: Any) -> dict[str, Any]:
    return {"prompt": prompt, "completion": text, "label": label}


def placed(*records: dict[str, Any]) -> list[Placed]:
    found = [preference_or_labelled(record) for record in records]
    return [Placed(f"f:{n}", one) for n, one in enumerate(found, start=1) if isinstance(one, Labelled)]


@pytest.mark.parametrize(
    "record",
    [
        answer("Why?", "So.", True),
        answer("Why?", "So.", 1),
        {"prompt": [{"role": "user", "content": "Why?"}], "completion": [{"role": "assistant", "content": "So."}],
         "label": True},
        {"instruction": "Why?", "input": "", "output": "So.", "label": True},
    ],
)  # fmt: skip
def test_the_forms_of_a_labelled_answer(record: dict[str, Any]) -> None:
    found = preference_or_labelled(record)
    assert isinstance(found, Labelled)
    assert (found.asked.instruction, found.asked.output, found.good) == ("Why?", "So.", True)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (answer("Why?", "So.", "good"), "label is a text, neither true"),
        (answer("Why?", "So.", 2), "label is the number 2, neither true"),
        (answer("Why?", " ", True), "completion is empty"),
        ({"prompt": "Why?", "label": True}, "it has a label, but no completion"),
        ({"completion": "So.", "label": True}, "it has no prompt"),
    ],
)
def test_what_is_no_labelled_answer_has_a_reason(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(NoConversation, match=reason):
        preference_or_labelled(record)


def test_a_pair_with_a_label_stays_a_pair() -> None:
    assert isinstance(preference_or_labelled({"prompt": "x", "chosen": "a", "rejected": "b", "label": 1}), Preference)


def test_answers_to_one_prompt_are_paired_and_all_are_used() -> None:
    found = list(
        paired(
            placed(
                answer("A?", "good 1", True), answer("B?", "alone", True), answer("A?", "bad", False),
                answer("A?", "good 2", True), answer("C?", "both", True), answer("C?", "both", False),
            )
        )
    )  # fmt: skip
    pairs = {place: one for place, one, _ in found if isinstance(one, Preference)}
    assert {place: (one.chosen, one.rejected) for place, one in pairs.items()} == {
        "f:1 and f:3": ("good 1", "bad"), "f:4 and f:3": ("good 2", "bad"),
    }  # fmt: skip
    assert {place: why for place, why, _ in found if place not in pairs} == {
        "f:2": "there is no bad answer to the same prompt to compare it with",
        "f:5": "the same answer is labelled good and bad",
        "f:6": "the same answer is labelled good and bad",
    }


def test_the_stage_reads_them_beside_pairs_and_accounts_for_each(tmp_path: Path) -> None:
    rows = [answer(f"Say {n}.", text, label) for n in range(20) for text, label in ((f"{n}", True), ("No.", False))]
    rows += [answer("Alone?", "Yes.", True), {"prompt": "Pair?", "chosen": "Yes.", "rejected": "No."}]
    data = tmp_path / "kto.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = local_output(tmp_path / "out")
    preferences(PreferencesConfig(data=(str(data),), validation=0.3), out, corpus=None)
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    assert out.counts["pairs"] + out.counts["validation_pairs"] == 21
    assert {name: amount.documents for name, amount in out.accounts.removed.items()} == {
        "labelled answer without a partner": 1
    }
