"""The formats of preference data, recognised by their keys; each record becomes a pair of answers or is refused.

The formats are trl's (prompt, chosen, rejected: texts or lists of messages, the prompt may be part of both),
Anthropic's HH (two dialogues as text), UltraFeedback's, LLaMA-Factory's (conversations), and Alpaca's with two answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.stage.json_kinds import kind_of
from tasks.training.sft.formats import Conversation, NoConversation, conversation

_HH_ANSWER, _HH_ASKED = "\n\nAssistant:", "\n\nHuman:"


@dataclass(frozen=True)
class Preference:
    """A prompt with the answer that is better and the one that is worse.

    `asked.output` is the better answer. `margin` is how much better it was said to be, None if nothing was said.
    """

    asked: Conversation
    rejected: str
    margin: float | None = None

    @property
    def chosen(self) -> str:
        """The better answer."""
        return self.asked.output

    @property
    def n_bytes(self) -> int:
        """The number of UTF-8 bytes of all texts."""
        return self.asked.n_bytes + len(self.rejected.encode())


def preference(item: Any) -> Preference:
    """Return the pair of one parsed record; raises NoConversation with the reason if it has none."""
    if not isinstance(item, Mapping):
        raise NoConversation(f"it is {kind_of(item)}, not an object")
    for side in ("chosen", "rejected"):
        if side not in item:
            raise NoConversation(f"it has no {side} answer; its fields are {', '.join(map(str, item)) or 'none'}")
    better, worse = (with_answer(item, side) for side in ("chosen", "rejected"))
    if prompt_of(better) != prompt_of(worse):
        raise NoConversation("the two answers are to different prompts")
    if better.output == worse.output:
        raise NoConversation("chosen and rejected are the same")
    return Preference(better, worse.output, _margin(item))


def prompt_of(one: Conversation) -> tuple[Any, ...]:
    """Return all that stands before the answer."""
    return one.instruction, one.input, one.system, one.history


def with_answer(item: Mapping[str, Any], side: str) -> Conversation:
    """Return the prompt with the answer of one field; raises NoConversation with the reason if there is none."""
    answer = item[side]
    if isinstance(answer, Mapping):  # LLaMA-Factory: one message
        answer = [answer]
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        raise NoConversation(f"{side} is {'null' if answer is None else 'empty'}")
    before = _messages_before(item)
    if isinstance(answer, list):
        told = answer if _holds_the_prompt(answer) else [*before, *answer]
        return conversation({"messages": told, **_system(item)})
    if not isinstance(answer, str):
        raise NoConversation(f"{side} is {kind_of(answer)}, not a text or a list of messages")
    if "instruction" in item:
        fields = {name: item[name] for name in ("instruction", "input", "system", "history") if name in item}
        return conversation({**fields, "output": answer})
    if not before:
        return conversation({"messages": _dialogue(item, side)})
    return conversation({"messages": [*before, {"role": "assistant", "content": answer}], **_system(item)})


def _messages_before(item: Mapping[str, Any]) -> list[Any]:
    """Return the messages of the prompt; none if the answers hold it."""
    for name in ("prompt", "question", "messages", "conversations"):
        prompt = item.get(name)
        if isinstance(prompt, str) and prompt.strip():
            return [{"role": "user", "content": prompt}]
        if isinstance(prompt, list) and prompt:
            return prompt
    return []


def _holds_the_prompt(answer: list[Any]) -> bool:
    first = answer[0] if answer else None
    role = first.get("role", first.get("from")) if isinstance(first, Mapping) else None
    return len(answer) > 1 and role in ("system", "user", "human")


def _system(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"system": item["system"]} if isinstance(item.get("system"), str) else {}


def _dialogue(item: Mapping[str, Any], side: str) -> list[dict[str, str]]:
    """Return the messages of an HH dialogue, whose last answer differs between the two sides."""
    both = [text for text in (item.get("chosen"), item.get("rejected")) if isinstance(text, str) and _HH_ANSWER in text]
    if len(both) != 2:
        raise NoConversation("it has no prompt: neither prompt, instruction, messages nor a dialogue in both answers")
    end = both[0].rfind(_HH_ANSWER)
    if both[0][:end] != both[1][: both[1].rfind(_HH_ANSWER)]:
        raise NoConversation("the two dialogues differ before the last answer")
    prompt, answer = item[side][:end], item[side][end + len(_HH_ANSWER) :]
    told = []
    for part in prompt.split(_HH_ASKED)[1:]:
        asked, *answers = part.split(_HH_ANSWER)
        told.append({"role": "user", "content": asked.strip()})
        told += [{"role": "assistant", "content": text.strip()} for text in answers]
    return [*told, {"role": "assistant", "content": answer.strip()}]


def _margin(item: Mapping[str, Any]) -> float | None:
    """Return how much better the chosen answer was said to be: `margin`, or the difference of two scores."""
    if isinstance(margin := item.get("margin"), int | float) and not isinstance(margin, bool):
        return float(margin)
    scores = [item.get(name) for name in ("score_chosen", "score_rejected")]
    if all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores):
        return float(scores[0] - scores[1])  # type: ignore[operator]
    return None
