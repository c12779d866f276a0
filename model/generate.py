"""Text generation: tokens one after another with a KV cache, sampled with a separate random generator."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from model.attention import KVCache
from model.gpt import GPT

Finish = Literal["stop", "length", "context"]
"""Why an answer ends: an end token was generated, the maximum length was reached, or the context is full."""


@dataclass(frozen=True)
class Generation:
    """New token ids without the end token, and why generation ended."""

    ids: list[int]
    finish: Finish

    @property
    def ended(self) -> bool:
        """Whether the model itself ended its answer."""
        return self.finish == "stop"


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. temperature 0 = the most likely one; top_k 0 and top_p 1 = from all tokens."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        # Written so that nan, for which every comparison is false, is rejected too.
        if not (0 <= self.temperature < math.inf and self.top_k >= 0 and 0 < self.top_p <= 1):
            raise ValueError(f"{self} needs a finite temperature ≥ 0, top_k ≥ 0 and 0 < top_p ≤ 1.")
        if not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"The seed {self.seed} does not fit 64 bits; give one from 0 to 2^64 - 1.")


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities (…, V) to draw from: temperature, then top-k, then top-p (Holtzman et al. 2020).

    top_p keeps the smallest set of most likely tokens whose probability reaches it; one token at least.
    """
    # The largest logit is shifted to 0 before the division, in float64: a temperature of 1e-40 then turns the others
    # into -inf and leaves it at 0, whereas plain logits / temperature would give inf - inf = nan.
    logits = ((logits - logits.amax(dim=-1, keepdim=True)).double() / sampling.temperature).float()
    if 0 < sampling.top_k < logits.shape[-1]:
        floor = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < floor, -torch.inf)
    probabilities = logits.softmax(dim=-1)
    if sampling.top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        outside = ordered.cumsum(dim=-1) - ordered >= sampling.top_p
        probabilities = probabilities.masked_fill(outside.scatter(-1, order, outside), 0.0)
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities


@torch.inference_mode()
def stream(
    model: GPT, prompt: Sequence[int], max_new_tokens: int, sampling: Sampling | None = None, stop: Collection[int] = ()
) -> Generator[int, None, Finish]:
    """Yield at most `max_new_tokens` new token ids after `prompt`, ending before the first id in `stop`.

    Returns why it ended. Prompt and answer share the model's context of `max_seq_len` tokens: the whole prompt is
    always read, and the answer ends when the context is full. Raises ValueError if the prompt alone does not fit.
    """
    sampling = sampling or Sampling()
    context = model.config.max_seq_len
    if not prompt:
        raise ValueError("An empty prompt has nothing to go on from; begin it with the tokenizer's <|bos|>.")
    if len(prompt) > context:
        raise ValueError(f"A prompt of {len(prompt):,} tokens does not fit the context of {context:,}; shorten it.")
    generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
    cache = KVCache(model.config)
    chunk = torch.tensor([list(prompt)], device=model.device)
    room = context - len(prompt) + 1  # the last token is never fed to the model, so it needs no place in it
    for _ in range(min(max_new_tokens, room)):
        hidden = model.hidden(chunk, cache)[:, -1]
        logits = torch.nn.functional.linear(hidden, model.output_weight)[0]
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            token = int(torch.multinomial(filtered(logits, sampling), 1, generator=generator))
        if token in stop:
            return "stop"
        yield token
        chunk = torch.tensor([[token]], device=model.device)
    return "length" if max_new_tokens <= room else "context"


def generate(
    model: GPT, prompt: Sequence[int], max_new_tokens: int, sampling: Sampling | None = None, stop: Collection[int] = ()
) -> Generation:
    """Return what `stream` yields, and why it ended."""
    was_training = model.training
    model.eval()
    ids: list[int] = []
    tokens = stream(model, prompt, max_new_tokens, sampling, stop)
    try:
        while True:
            ids.append(next(tokens))
    except StopIteration as end:
        return Generation(ids, end.value)
    finally:
        model.train(was_training)
