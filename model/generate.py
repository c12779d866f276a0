"""Generation: tokens one after another from a KV cache, sampled with a generator of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.gpt import GPT
from model.layers import KVCache


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. temperature 0 = the most likely one; top_k 0 and top_p 1 = from all tokens."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"{self} needs temperature ≥ 0, top_k ≥ 0 and 0 < top_p ≤ 1.")


def filtered(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities (…, V) to draw from: temperature, then top-k, then top-p (Holtzman et al. 2020).

    top_p keeps the smallest set of most likely tokens whose probability reaches it; one token at least.
    """
    logits = logits.float() / sampling.temperature
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
) -> Iterator[int]:
    """Yield new token ids after `prompt`, up to and without the first in `stop`, `max_new_tokens` at most.

    The context is the model's `max_seq_len`: a prompt that leaves no room for the answer loses its left end, and the
    answer ends where the context does.
    """
    sampling = sampling or Sampling()
    context = model.config.max_seq_len
    if not prompt:
        raise ValueError("An empty prompt has nothing to go on from; begin it with the tokenizer's <|bos|>.")
    if max_new_tokens < 1:
        return
    ids = list(prompt)[-max(1, context - max_new_tokens) :]
    generator = torch.Generator(device=model.device).manual_seed(sampling.seed)
    cache = KVCache(model.config)
    chunk = torch.tensor([ids], device=model.device)
    for _ in range(min(max_new_tokens, context - len(ids) + 1)):
        hidden = model.hidden(chunk, cache)[:, -1]
        logits = torch.nn.functional.linear(hidden, model.output_weight)[0]
        if sampling.temperature == 0:
            token = int(logits.argmax())
        else:
            token = int(torch.multinomial(filtered(logits, sampling), 1, generator=generator))
        if token in stop:
            return
        yield token
        chunk = torch.tensor([[token]], device=model.device)


def generate(
    model: GPT, prompt: Sequence[int], max_new_tokens: int, sampling: Sampling | None = None, stop: Collection[int] = ()
) -> list[int]:
    """Return what `stream` yields as a list."""
    was_training = model.training
    model.eval()
    try:
        return list(stream(model, prompt, max_new_tokens, sampling, stop))
    finally:
        model.train(was_training)
