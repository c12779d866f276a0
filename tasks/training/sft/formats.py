"""The formats of instruction data, recognised by their keys; each record becomes a conversation or is refused.

The formats are Alpaca (with LLaMA-Factory's `system` and `history`), Dolly, prompt and completion, OpenAI's messages
and ShareGPT's conversations. No part of a record is dropped silently: a record with text in a field that its format
does not have, or with a role that the chat template does not have, is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.stage.json_kinds import kind_of


class NoConversation(ValueError):
    """A record cannot be used; the message gives the reason, worded to complete a sentence about the record."""


@dataclass(frozen=True)
class Conversation:
    """An instruction with its answer and the turns before it; `input` is the text that the instruction refers to."""

    instruction: str
    output: str
    input: str = ""
    system: str = ""
    history: tuple[tuple[str, str], ...] = ()

    def row(self) -> dict[str, Any]:
        """Return it as an Alpaca record; system and history only if they are not empty."""
        row: dict[str, Any] = {"instruction": self.instruction, "input": self.input, "output": self.output}
        if self.system:
            row["system"] = self.system
        if self.history:
            row["history"] = [list(turn) for turn in self.history]
        return row

    @property
    def texts(self) -> list[str]:
        """All texts of the conversation, in order."""
        return [
            self.system,
            *(text for turn in self.history for text in turn),
            self.instruction,
            self.input,
            self.output,
        ]

    @property
    def n_bytes(self) -> int:
        """The number of UTF-8 bytes of all texts."""
        return sum(len(text.encode()) for text in self.texts)


# The required fields of each format (instruction, answer) -> the optional fields whose text is used too.
_SHAPES = {
    ("instruction", "output"): ("input", "system", "history"),
    ("instruction", "response"): ("context", "system"),
    ("prompt", "completion"): ("system",),
    ("prompt", "response"): ("system",),
}
_TEXT_FIELDS = frozenset(name for required, more in _SHAPES.items() for name in (*required, *more))
_ROLES = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
}  # fmt: skip


def conversation(item: Any) -> Conversation:
    """Return the conversation of one parsed record; raises NoConversation with the reason if it has none."""
    if not isinstance(item, Mapping):
        raise NoConversation(f"it is {kind_of(item)}, not an object")
    found = _of_messages(item) if {"messages", "conversations"} & item.keys() else _of_fields(item)
    for text in found.texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            broken = f"U+{ord(text[error.start]):04X}"
            raise NoConversation(
                f"a text has half a surrogate pair ({broken}) at character {error.start + 1}"
            ) from None
    return found


def _of_fields(item: Mapping[str, Any]) -> Conversation:
    best = max(_SHAPES, key=lambda shape: sum(name in item for name in shape))
    asked, answered = best
    if asked not in item and answered not in item:
        raise NoConversation(
            f"it has the fields {', '.join(map(str, item)) or 'none'}; known are instruction and output (Alpaca), "
            "instruction and response (Dolly), prompt and completion, messages (OpenAI), conversations (ShareGPT)"
        )
    required = {name: _text(item, name, needed=True) for name in best}
    unknown = sorted(name for name in _TEXT_FIELDS - {*best, *_SHAPES[best]} if item.get(name))
    if unknown:
        raise NoConversation(f"it has {unknown[0]} besides {asked} and {answered}, which no known format has")
    given = "context" if "context" in _SHAPES[best] else "input"
    return Conversation(
        required[asked].strip(),
        required[answered].rstrip(),  # leading blanks belong to the answer: they may indent a line of code
        _text(item, given).strip(),
        _text(item, "system").strip(),
        _history(item.get("history")),
    )


def _history(value: Any) -> tuple[tuple[str, str], ...]:
    if value in (None, "", []):
        return ()
    turns: list[tuple[str, str]] = []
    for number, turn in enumerate(value if isinstance(value, list) else [None], start=1):
        if not (isinstance(turn, list) and len(turn) == 2 and all(isinstance(t, str) and t.strip() for t in turn)):
            raise NoConversation(f"turn {number} of history is not a pair of texts [instruction, answer]")
        turns.append((turn[0].strip(), turn[1].rstrip()))
    return tuple(turns)


def _of_messages(item: Mapping[str, Any]) -> Conversation:
    name = "messages" if "messages" in item else "conversations"
    said = item[name]
    if not isinstance(said, list):
        raise NoConversation(f"{name} is {kind_of(said)}, not a list of messages")
    if not said:
        raise NoConversation(f"{name} is empty")
    if tools := [field for field in ("tools", "functions") if item.get(field)]:
        raise NoConversation(f"it has {tools[0]}, which the chat template does not know")
    turns = [_message(message, f"message {number} of {name}") for number, message in enumerate(said, start=1)]
    system = ""
    if turns[0][0] == "system":
        system = turns.pop(0)[1].strip()
    elif isinstance(item.get("system"), str):
        system = item["system"].strip()
    for number, (role, _) in enumerate(turns):
        expected = ("user", "assistant")[number % 2]
        if role != expected:
            raise NoConversation(f"turn {number + 1} of {name} is the {role}'s, where it is the {expected}'s turn")
    if len(turns) < 2:
        raise NoConversation(f"{name} has no answer of an assistant")
    if len(turns) % 2:
        raise NoConversation(f"{name} ends with the user; there is no answer to learn")
    pairs = [(turns[i][1].strip(), turns[i + 1][1].rstrip()) for i in range(0, len(turns), 2)]
    (instruction, output), history = pairs[-1], tuple(pairs[:-1])
    return Conversation(instruction, output, system=system, history=history)


def _message(message: Any, place: str) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise NoConversation(f"{place} is {kind_of(message)}, not an object")
    role = message.get("role", message.get("from"))
    if not isinstance(role, str) or role not in _ROLES:
        raise NoConversation(f"{place} has the role {role!r}; the chat template has system, user and assistant")
    if message.get("tool_calls"):
        raise NoConversation(f"{place} calls a tool, which the chat template does not know")
    content = message.get("content", message.get("value"))
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str) or not content.strip():
        raise NoConversation(f"{place} is {kind_of(content)} instead of a text")
    return _ROLES[role], content


def _text(item: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    if needed and name not in item:
        raise NoConversation(f"{name} is missing")
    value = item.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise NoConversation(f"{name} is {kind_of(value)}, not a text")
    if needed and not value.strip():
        raise NoConversation(f"{name} is empty")
    return value
