"""The formats of instruction data, recognised by their keys; each record becomes a conversation or is refused.

The formats are Alpaca (with LLaMA-Factory's `system` and `history`), Dolly, prompt and completion, OpenAI's messages
and ShareGPT's conversations; of a preference, the chosen answer is learned. No part of a record is dropped silently: a
record with text in a field that its format does not have, or with a role that no chat has, is refused with a reason.

Chat templates know no tools, so that tools are kept as text, in the form of Qwen 2.5 and Hermes: what tools there are
in the system's message (<tools>), a call in the assistant's (<tool_call>), a result in the user's (<tool_response>).
"""

from __future__ import annotations

import contextlib
import json
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
    ("prompt", "answer"): ("system",),
}
_TEXT_FIELDS = frozenset(name for required, more in _SHAPES.items() for name in (*required, *more))
_ROLES = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "model": "assistant", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool", "function_call": "call",
}  # fmt: skip


def conversation(item: Any) -> Conversation:
    """Return the conversation of one parsed record; raises NoConversation with the reason if it has none."""
    if not isinstance(item, Mapping):
        raise NoConversation(f"it is {kind_of(item)}, not an object")
    if {"chosen", "rejected"} <= item.keys() and not item.get("output"):
        item = _preferred(item)
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


def _preferred(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a preference as an instruction with its chosen answer: a text, a message, or a list of messages, which may
    be all of the conversation."""
    chosen, rest = item["chosen"], {name: value for name, value in item.items() if name not in ("chosen", "rejected")}
    asked = next((rest[name] for name in ("messages", "conversations", "prompt") if rest.get(name)), None)
    if isinstance(chosen, str) and not isinstance(asked, list):
        return {**rest, "completion" if "prompt" in rest else "output": chosen}
    said = chosen if isinstance(chosen, list) else [chosen]
    said = [{"role": "assistant", "content": one} if isinstance(one, str) else one for one in said]
    whole = len(said) > 1 and isinstance(said[0], Mapping)
    before = (
        [] if whole or asked is None else asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    )
    return {**rest, "messages": [*before, *said]}


def _of_fields(item: Mapping[str, Any]) -> Conversation:
    best = max(_SHAPES, key=lambda shape: sum(name in item for name in shape))
    asked, answered = best
    if asked not in item and (answered not in item or answered == "answer"):  # which other formats have too
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
    turns = [_message(message, f"message {number} of {name}") for number, message in enumerate(said, start=1)]
    system = ""
    if turns[0][0] == "system":
        system = turns.pop(0)[1].strip()
    elif isinstance(item.get("system"), str):
        system = item["system"].strip()
    system = "\n\n".join(filter(None, [system, *_tools(item)]))
    turns = _with_results(turns)
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
    """Return who speaks, also "tool" for a result, and what is said."""
    if not isinstance(message, Mapping):
        raise NoConversation(f"{place} is {kind_of(message)}, not an object")
    named = message.get("role", message.get("from"))
    if not isinstance(named, str) or named not in _ROLES:
        raise NoConversation(f"{place} has the role {named!r}; a chat has system, user, assistant and tool")
    role = _ROLES[named]
    content = message.get("content", message.get("value"))
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    calls = message.get("tool_calls") or ([message["function_call"]] if message.get("function_call") else [])
    if role == "assistant" and calls:
        if not isinstance(calls, list) or not isinstance(content, str | None):
            raise NoConversation(f"{place} calls tools in a form that is not known")
        said = [content] if content and content.strip() else []
        return role, "\n".join([*said, *(_tagged("tool_call", _called(call)) for call in calls)])
    if not isinstance(content, str) or not content.strip():
        raise NoConversation(f"{place} is {kind_of(content)} instead of a text")
    if role == "call":
        return "assistant", _tagged("tool_call", content.strip())
    return role, _tagged("tool_response", content.strip()) if role == "tool" else content


def _called(call: Any) -> str:
    """Return a call as JSON: the name of the tool and its arguments, which OpenAI writes as JSON inside JSON."""
    named = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(named, Mapping) or not isinstance(named.get("name"), str):
        raise NoConversation("a call of a tool has no name")
    arguments = named.get("arguments", {})
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # else it is what the model wrote
            arguments = json.loads(arguments)
    return json.dumps({"name": named["name"], "arguments": arguments}, ensure_ascii=False)


def _tools(item: Mapping[str, Any]) -> list[str]:
    """Return the description of a record's tools, if it has some; ShareGPT's are JSON in a text."""
    tools = item.get("tools") or item.get("functions")
    if not tools:
        return []
    if isinstance(tools, str):
        return [_tagged("tools", tools.strip())]
    if not isinstance(tools, list):
        raise NoConversation(f"tools is {kind_of(tools)}, not a list")
    return [_tagged("tools", "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))]


def _tagged(name: str, text: str) -> str:
    return f"<{name}>\n{text}\n</{name}>"


def _with_results(turns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the turns with results of tools as the user's: those that follow each other are one turn."""
    made: list[tuple[str, str]] = []
    before = ""
    for role, text in turns:
        if role == "tool" and before == "tool":
            made[-1] = ("user", f"{made[-1][1]}\n{text}")
        else:
            made.append(("user" if role == "tool" else role, text))
        before = role
    return made


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
