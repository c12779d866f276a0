"""tasks/training/preferences/formats.py: each known format gives the same pair, and each wrong record a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.serving.schemas import VoteBody
from flows.serving.votes import keep
from tasks.training.preferences.formats import preference
from tasks.training.sft.formats import NoConversation
from tasks.training.sft.instructions import read_records

ASKED = {"role": "user", "content": "Why?"}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
        {"question": "Why?", "chosen": "So.", "rejected": "No."},
        {"instruction": "Why?", "input": "", "chosen": "So.", "rejected": "No."},
        {"prompt": [ASKED], "chosen": [said("So.")], "rejected": [said("No.")]},
        {"prompt": "Why?", "chosen": [ASKED, said("So.")], "rejected": [ASKED, said("No.")]},
        {"chosen": [ASKED, said("So.")], "rejected": [ASKED, said("No.")]},
        {"conversations": [{"from": "human", "value": "Why?"}], "chosen": {"from": "gpt", "value": "So."},
         "rejected": {"from": "gpt", "value": "No."}},
        {"chosen": "\n\nHuman: Why?\n\nAssistant: So.", "rejected": "\n\nHuman: Why?\n\nAssistant: No."},
    ],
)  # fmt: skip
def test_all_formats_give_the_same_pair(record: dict[str, Any]) -> None:
    found = preference(record)
    assert (found.asked.instruction, found.chosen, found.rejected, found.margin) == ("Why?", "So.", "No.", None)
    assert found.n_bytes == len("Why?So.No.")


def test_a_dialogue_keeps_its_earlier_turns_and_scores_give_the_margin() -> None:
    before = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:"
    found = preference({"chosen": f"{before} So.", "rejected": f"{before} No."})
    assert found.asked.history == (("Hi", "Hello"),)
    assert (found.asked.instruction, found.chosen, found.rejected) == ("Why?", "So.", "No.")
    scored = {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "score_chosen": 8.5, "score_rejected": 6}
    assert preference(scored).margin == 2.5
    assert preference({**scored, "margin": 1}).margin == 1.0
    assert preference({**scored, "system": "Be brief."}).asked.system == "Be brief."


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("text", "it is a text, not an object"),
        ({"prompt": "x", "chosen": "a"}, "it has no rejected answer"),
        ({"prompt": "x", "chosen": "same", "rejected": "same "}, "chosen and rejected are the same"),
        ({"prompt": "x", "chosen": "", "rejected": "b"}, "chosen is empty"),
        ({"prompt": "x", "chosen": "a", "rejected": None}, "rejected is null"),
        ({"prompt": "x", "chosen": 1, "rejected": "b"}, "chosen is the number 1, not a text"),
        ({"chosen": "a", "rejected": "b"}, "it has no prompt"),
        ({"chosen": [ASKED, said("a")], "rejected": [{"role": "user", "content": "Who?"}, said("b")]},
         "to different prompts"),
        ({"chosen": [ASKED, said("a"), said("b")], "rejected": [ASKED, said("c"), said("d")]}, "assistant's, where"),
        ({"chosen": "\n\nHuman: A\n\nAssistant: x", "rejected": "\n\nHuman: B\n\nAssistant: y"},
         "differ before the last answer"),
        ({"prompt": "\ud800", "chosen": "a", "rejected": "b"}, "half a surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_no_pair_has_a_reason(record: Any, reason: str) -> None:
    with pytest.raises(NoConversation, match=reason):
        preference(record)


def test_the_votes_of_the_chat_page_are_such_pairs(tmp_path: Path) -> None:
    file = tmp_path / "votes.jsonl"
    talk = [{"role": "system", "content": "s"}, ASKED, said("First."), ASKED]
    keep(file, VoteBody.model_validate({"prompt": talk, "chosen": "So.", "rejected": "No.", "chosen_model": "a"}))
    (record,) = read_records(file, preference)
    assert record.found is not None
    assert (record.found.chosen, record.found.rejected) == ("So.", "No.")
    assert record.found.asked.system == "s"
    assert record.found.asked.history == (("Why?", "First."),)
    assert json.loads(file.read_text())["chosen_model"] == "a"
