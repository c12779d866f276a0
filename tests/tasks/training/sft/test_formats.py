"""tasks/training/sft/formats.py: each shape of instruction data is read with all its turns, or refused with the reason.

Also covers: tasks/stage/json_kinds.py
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.training.sft.formats import Conversation, NoConversation, conversation

CHAT = [
    {"role": "system", "content": "You are a gardener."},
    {"role": "user", "content": "What grows in bed 1?"},
    {"role": "assistant", "content": "Beans."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "  They feed the soil.\n"},
]
TALK = Conversation(
    "Why?", "  They feed the soil.", system="You are a gardener.", history=(("What grows in bed 1?", "Beans."),)
)
NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"instruction": " Say hi. ", "output": "hi"}, Conversation("Say hi.", "hi")),
        (
            {"instruction": "Go on.", "input": "def f():", "output": "    pass\n"},
            Conversation("Go on.", "    pass", "def f():"),
        ),
        (
            {"instruction": "When?", "context": "Dug in May.", "response": "May.", "category": "qa"},
            Conversation("When?", "May.", "Dug in May."),
        ),
        ({"prompt": "Name one.", "completion": "A leek."}, Conversation("Name one.", "A leek.")),
        (
            {"instruction": "Why?", "input": "", "output": "  They feed the soil.", "system": "You are a gardener.",
             "history": [["What grows in bed 1?", "Beans."]]},
            TALK,
        ),
        ({"messages": CHAT}, TALK),
        ({"messages": [{"role": m["role"], "content": [{"type": "text", "text": m["content"]}]} for m in CHAT]}, TALK),
        ({"id": "7", "conversations": [{"from": NAMES[m["role"]], "value": m["content"]} for m in CHAT]}, TALK),
        (
            {"conversations": [{"from": NAMES[m["role"]], "value": m["content"]} for m in CHAT[1:]],
             "system": CHAT[0]["content"]},
            TALK,
        ),
        ({"prompt": "Name one.", "chosen": "A leek.", "rejected": "No."}, Conversation("Name one.", "A leek.")),
        ({"instruction": "Name one.", "chosen": "A leek.", "rejected": "No."}, Conversation("Name one.", "A leek.")),
        ({"prompt": "Why?", "chosen": CHAT, "rejected": CHAT[:3]}, TALK),
        ({"prompt": CHAT[:4], "chosen": CHAT[4:], "rejected": CHAT[2:3]}, TALK),
        ({"conversations": CHAT[:4], "chosen": CHAT[4], "rejected": CHAT[2]}, TALK),
        ({"prompt": "Name one.", "chosen": [{"role": "assistant", "content": "A leek."}], "rejected": []},
         Conversation("Name one.", "A leek.")),
        ({"instruction": "x", "output": "y", "history": [], "system": None, "input": None}, Conversation("x", "y")),
    ],
)  # fmt: skip
def test_known_shapes(item: Any, expected: Conversation) -> None:
    assert conversation(item) == expected
    assert conversation(expected.row()) == expected


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ([1, 2], "it is a list, not an object"),
        (None, "it is null, not an object"),
        ({"instruction": "x"}, "output is missing"),
        ({"instruction": "", "output": "y"}, "instruction is empty"),
        ({"instruction": "x", "output": 3}, "output is the number 3, not a text"),
        ({"instruction": "x", "output": True}, "output is the value true, not a text"),
        ({"instruction": "x", "input": ["y"], "output": "z"}, "input is a list, not a text"),
        ({"question": "x", "answer": "y"}, "it has the fields question, answer; known are"),
        ({"instruction": "x", "output": "y", "context": "z"}, "it has context besides instruction and output"),
        ({"instruction": "x", "output": "y", "history": [["a"]]}, "turn 1 of history is not a pair of texts"),
        ({"instruction": "x", "output": "y", "history": "a"}, "turn 1 of history is not a pair of texts"),
        ({"instruction": "a \ud83d half", "output": "y"}, r"half a surrogate pair \(U\+D83D\) at character 3"),
        ({"messages": []}, "messages is empty"),
        ({"messages": CHAT[:2]}, "messages has no answer of an assistant"),
        ({"messages": CHAT[:4]}, "messages ends with the user"),
        ({"messages": [CHAT[1], CHAT[1], CHAT[2]]}, "turn 2 of messages is the user's, where it is the assistant's"),
        ({"messages": [CHAT[1], CHAT[2], CHAT[2]]}, "turn 3 of messages is the assistant's"),
        ({"messages": [CHAT[1], {"role": "judge", "content": "7"}]}, "message 2 of messages has the role 'judge'"),
        ({"messages": [CHAT[1], {"role": "tool", "content": "7"}]}, "turn 2 of messages is the user's"),
        ({"messages": [CHAT[1], {"role": "assistant", "tool_calls": [{"id": 1}]}]}, "a call of a tool has no name"),
        ({"messages": [CHAT[1], {"role": "assistant", "content": " "}]}, "message 2 of messages is an empty text"),
        ({"messages": [CHAT[1], {"role": "assistant"}]}, "message 2 of messages is null instead of a text"),
        ({"prompt": "x", "chosen": [], "rejected": []}, "messages has no answer"),
        ({"prompt": "x", "chosen": " ", "rejected": "y"}, "completion is empty"),
        ({"prompt": "x", "chosen": [3], "rejected": "y"}, "message 2 of messages is the number 3"),
        ({"messages": CHAT, "tools": 3}, "tools is the number 3, not a list"),
    ],
)  # fmt: skip
def test_the_reason_of_a_refusal(item: Any, reason: str) -> None:
    with pytest.raises(NoConversation, match=reason):
        conversation(item)


def test_tools_are_kept_as_text() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}}
    found = conversation(
        {
            "tools": [{"name": "weather"}],
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Sun?"},
                {"role": "assistant", "content": None, "tool_calls": [call, call]},
                {"role": "tool", "tool_call_id": "1", "content": "sun"},
                {"role": "tool", "tool_call_id": "1", "content": "rain"},
                {"role": "assistant", "content": "Both."},
            ],
        }
    )
    called = '<tool_call>\n{"name": "weather", "arguments": {"city": "Köln"}}\n</tool_call>'
    assert found == Conversation(
        "<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response>",
        "Both.",
        system='Be short.\n\n<tools>\n{"name": "weather"}\n</tools>',
        history=(("Sun?", f"{called}\n{called}"),),
    )
    shared = conversation(
        {
            "tools": '[{"name": "weather"}]',
            "conversations": [
                {"from": "human", "value": "Sun?"},
                {"from": "function_call", "value": '{"name": "weather"}'},
                {"from": "observation", "value": "sun"},
                {"from": "gpt", "value": "Yes."},
            ],
        }
    )
    assert shared.system == '<tools>\n[{"name": "weather"}]\n</tools>'
    assert shared.history == (("Sun?", '<tool_call>\n{"name": "weather"}\n</tool_call>'),)
