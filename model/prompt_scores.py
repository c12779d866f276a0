"""What a model makes of given texts: the log-probability of each of their tokens, and one vector for a whole text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.gpt import GPT

CHUNK = 256
"""Positions whose logits are in memory at once: 256 × 50,304 float32 are 51 MB."""


@dataclass(frozen=True)
class PromptScores:
    """Log-probabilities of a text's tokens; there is none for the first, as nothing stands before it.

    `top` has the likeliest tokens at the place of each token, likeliest first; it is empty if none were asked for.
    """

    log_probs: list[float | None]
    top: list[list[tuple[int, float]] | None]


@torch.inference_mode()
def prompt_scores(model: GPT, ids: Sequence[int], top: int = 0) -> PromptScores:
    """Return the log-probabilities of a text's tokens under a decoder, each given those before it.

    Raises ValueError if the text is empty, longer than the context, or of another vocabulary.
    """
    check_ids(model, ids)
    given = torch.tensor([list(ids)], device=model.device)
    states = model.hidden(given[:, :-1])[0] if len(ids) > 1 else None
    log_probs: list[float | None] = [None]
    tops: list[list[tuple[int, float]] | None] = [None] if top else []
    for start in range(0, len(ids) - 1, CHUNK):
        assert states is not None
        logits = model.logits(states[start : start + CHUNK]).float()
        mass = logits.logsumexp(dim=-1, keepdim=True)
        wanted = given[0, start + 1 : start + 1 + len(logits), None]
        log_probs += (logits.gather(1, wanted) - mass)[:, 0].tolist()
        if top:
            values, likeliest = logits.topk(min(top, logits.shape[-1]), dim=-1)
            rows = zip(likeliest.tolist(), (values - mass).tolist(), strict=True)
            tops += [list(zip(tokens, numbers, strict=True)) for tokens, numbers in rows]
    return PromptScores(log_probs, tops)


@torch.inference_mode()
def embedding(model: GPT, ids: Sequence[int]) -> Tensor:
    """Return the mean of a text's last states, scaled to length 1: float32 (C).

    Raises ValueError as `prompt_scores` does.
    """
    check_ids(model, ids)
    given = torch.tensor([list(ids)], device=model.device)
    states = model.hidden(given)[0].float()
    return torch.nn.functional.normalize(states.mean(dim=0), dim=0).cpu()


def check_ids(model: GPT, ids: Sequence[int]) -> None:
    """Raise ValueError if a text is empty, longer than the context, or of another vocabulary."""
    config = model.config
    if not ids:
        raise ValueError("The text is empty.")
    if len(ids) > config.max_seq_len:
        raise ValueError(f"The text has {len(ids):,} tokens, but the model's context is {config.max_seq_len:,}.")
    if wrong := next((token for token in ids if not 0 <= token < config.vocab_size), None):
        raise ValueError(f"The text has the id {wrong}, but the vocabulary only 0 to {config.vocab_size - 1}.")
