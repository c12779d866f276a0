"""Chat templates: the marks that stand around the messages of a conversation, each style under its name.

`model/chat.py` turns conversations into tokens by them, `model/huggingface/chat_template.py` writes them as Jinja. A
mark is a special token where the vocabulary has it, which no text can forge, and ordinary text elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer

TemplateName = Literal["textmill", "alpaca", "phi3", "chatml"]


class Place(Enum):
    """Where something is put in."""

    TEXT = "the message"


TEXT = Place.TEXT


@dataclass(frozen=True)
class Mark:
    """A special token: the one of that name, else the one that plays a role, else the name as ordinary text.

    A mark without a name is always the token of its role.
    """

    name: str = ""
    role: str = ""


Part = Mark | str | Place


@dataclass(frozen=True)
class Template:
    """What stands around each message. The model learns an answer and `closes`, and nothing else.

    opens: at the beginning. system, unasked: the system's message, and what takes its place where there is none.
    user: a user's message. answers: before an answer; closes, after: behind it. given: between an instruction and the
    text that it is about.
    """

    opens: tuple[Part, ...]
    system: tuple[Part, ...]
    user: tuple[Part, ...]
    answers: tuple[Part, ...]
    closes: tuple[Part, ...]
    after: tuple[Part, ...] = ()
    unasked: tuple[Part, ...] = ()
    given: str = "\n\n"

    def named(self) -> list[str]:
        """Return the special tokens that it asks for by name."""
        parts = (*self.system, *self.user, *self.answers, *self.closes)
        return list(dict.fromkeys(part.name for part in parts if isinstance(part, Mark) and part.name))


_BOS, _EOS = Mark(role="bos"), Mark(role="eos")
_START, _END = Mark("<|im_start|>"), Mark("<|im_end|>", "eos")

TEMPLATES: dict[TemplateName, Template] = {
    "textmill": Template(
        opens=(_BOS,),
        system=(Mark(role="system"), TEXT),
        user=(Mark(role="user"), TEXT),
        answers=(Mark(role="assistant"),),
        closes=(_EOS,),
    ),
    # Taori et al. 2023, in the form of Raschka 2024 (chapter 7): one introduction, with an input or without.
    "alpaca": Template(
        opens=(_BOS,),
        system=(TEXT,),
        unasked=(
            "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
        ),
        user=("\n\n### Instruction:\n", TEXT),
        answers=("\n\n### Response:\n",),
        closes=(_EOS,),
        given="\n\n### Input:\n",
    ),
    # Abdin et al. 2024, in the form of Raschka 2024 (exercise 7.1).
    "phi3": Template(
        opens=(_BOS,),
        system=(Mark("<|system|>", "system"), "\n", TEXT, "\n"),
        user=(Mark("<|user|>", "user"), "\n", TEXT, "\n"),
        answers=(Mark("<|assistant|>", "assistant"), ":\n"),
        closes=(_EOS,),
        given="\n",
    ),
    # OpenAI 2023, as Qwen and SmolLM write it.
    "chatml": Template(
        opens=(_BOS,),
        system=(_START, "system\n", TEXT, _END, "\n"),
        user=(_START, "user\n", TEXT, _END, "\n"),
        answers=(_START, "assistant\n"),
        closes=(_END,),
        after=("\n",),
    ),
}


def resolved(parts: Sequence[Part], tokenizer: Tokenizer) -> list[int | str | Place]:
    """Return the parts with the ids of the marks that are special tokens of this tokenizer, the others as text.

    Raises KeyError if it has no token for a role that has to have one.
    """
    return [_resolved(part, tokenizer) if isinstance(part, Mark) else part for part in parts]


def _resolved(mark: Mark, tokenizer: Tokenizer) -> int | str:
    if mark.name in tokenizer.specials:
        return tokenizer.specials[mark.name]
    if mark.role and (tokenizer.has(mark.role) or not mark.name):
        return tokenizer.role(mark.role)
    return mark.name
