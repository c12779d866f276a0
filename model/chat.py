"""The chat template: how an instruction and its answer become tokens.

    <|bos|> [<|system|> text] <|user|> instruction [blank line, input] <|assistant|> answer <|eos|>

The roles are special tokens of their own and text is always encoded as ordinary letters, so no message can write a
role. They are reserved when the tokenizer is trained; fine-tuning gives them their meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.batches import Batch
from model.losses import IGNORE
from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class Example:
    """A prompt with its answer: `ids[:n_prompt]` is the prompt with its roles, the rest the answer and its end."""

    ids: tuple[int, ...]
    n_prompt: int


def prompt_ids(tokenizer: Tokenizer, instruction: str, given: str = "", system: str = "") -> list[int]:
    """Return the tokens after which the assistant answers; `given` is Alpaca's input field."""
    opening = [tokenizer.bos]
    if system:
        opening += [tokenizer.system, *tokenizer.encode(system)]
    asked = f"{instruction}\n\n{given}" if given else instruction
    return [*opening, tokenizer.user, *tokenizer.encode(asked), tokenizer.assistant]


def example(tokenizer: Tokenizer, instruction: str, given: str, answer: str) -> Example:
    """Return prompt and answer as one sequence that ends in <|eos|>."""
    prompt = prompt_ids(tokenizer, instruction, given)
    return Example((*prompt, *tokenizer.encode(answer), tokenizer.eos), len(prompt))


def answer_batch(examples: Sequence[Example], pad: int) -> Batch:
    """Put examples into one batch whose targets are the answers and their end tokens only.

    Padding is masked by length, never by its id: where pad and end token are the same id, a mask by id would also take
    away the end token, and the model would never learn to stop (huggingface/trl issue 1623).
    """
    length = max(len(example.ids) for example in examples) - 1
    inputs = torch.full((len(examples), length), pad, dtype=torch.int64)
    targets = torch.full((len(examples), length), IGNORE, dtype=torch.int64)
    for row, one in enumerate(examples):
        ids = torch.tensor(one.ids)
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, one.n_prompt - 1 : len(ids) - 1] = ids[one.n_prompt :]
    return Batch(inputs, targets)
