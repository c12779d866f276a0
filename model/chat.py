"""The chat template: how instructions and their answers become tokens.

    <|bos|> [<|system|> text] <|user|> instruction [blank line, input] <|assistant|> answer <|eos|> [<|user|> …]

The roles are special tokens, and text is always encoded as ordinary tokens, so no message can forge a role. The role
tokens are reserved when the tokenizer is trained; fine-tuning gives them their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Example:
    """A conversation as one sequence; `answers` are the spans [start, end) of `ids` that the model learns to write.

    The answers are the assistant's turns, each with its <|eos|> but without the role token before it.
    """

    ids: tuple[int, ...]
    answers: tuple[tuple[int, int], ...]


Exchanges = Sequence[tuple[str, str]]
"""Earlier turns of a conversation, in order: pairs of the user's message and the assistant's answer."""


def prompt_ids(
    tokenizer: Tokenizer, instruction: str, given: str = "", system: str = "", history: Exchanges = ()
) -> list[int]:
    """Return the tokens after which the assistant answers; `given` is Alpaca's input field."""
    ids, _ = _opening(tokenizer, system, history)
    asked = f"{instruction}\n\n{given}" if given else instruction
    return [*ids, tokenizer.user, *tokenizer.encode(asked), tokenizer.assistant]


def example(
    tokenizer: Tokenizer, instruction: str, given: str, answer: str, system: str = "", history: Exchanges = ()
) -> Example:
    """Return a conversation as one sequence that ends in <|eos|>."""
    _, earlier = _opening(tokenizer, system, history)
    prompt = prompt_ids(tokenizer, instruction, given, system, history)
    ids = (*prompt, *tokenizer.encode(answer), tokenizer.eos)
    return Example(ids, (*earlier, (len(prompt), len(ids))))


def fitted(tokenizer: Tokenizer, prompt: Sequence[int], room: int) -> tuple[list[int], int]:
    """Return the prompt shortened to at most `room` tokens, and how many tokens of its text were left out.

    The oldest text is left out first, so that the latest stays. <|bos|>, the roles and the system's text are kept as
    long as there is other text to leave out. Raises ValueError if the special tokens alone need more room.
    """
    excess = len(prompt) - room
    if excess <= 0:
        return list(prompt), 0
    special = set(tokenizer.specials.values())
    text = [place for place, token in enumerate(prompt) if token not in special]
    if excess > len(text):
        roles = len(prompt) - len(text)
        raise ValueError(f"A prompt needs {roles} tokens for its roles alone, but there is room for {room}.")
    user = prompt.index(tokenizer.user) if tokenizer.has("user") and tokenizer.user in prompt else 0
    oldest_first = sorted(text, key=lambda place: (place < user, place))
    left_out = set(oldest_first[:excess])
    return [token for place, token in enumerate(prompt) if place not in left_out], excess


def _opening(tokenizer: Tokenizer, system: str, history: Exchanges) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the tokens before the last instruction, and the spans of the answers among them."""
    ids = [tokenizer.bos]
    if system:
        ids += [tokenizer.system, *tokenizer.encode(system)]
    answers: list[tuple[int, int]] = []
    for asked, answer in history:
        ids += [tokenizer.user, *tokenizer.encode(asked), tokenizer.assistant]
        start = len(ids)
        ids += [*tokenizer.encode(answer), tokenizer.eos]
        answers.append((start, len(ids)))
    return ids, answers
