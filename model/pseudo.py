"""Pseudo-perplexity of an encoder: each token is hidden once, and named from all others (Salazar et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from model.gpt import GPT


@torch.inference_mode()
def pseudo_log_likelihoods(
    model: GPT, ids: Sequence[int], hide: Sequence[int], mask: int, batch_tokens: int = 8192
) -> list[tuple[float, int]]:
    """Return for each place in `hide` the log-probability of its token in nats, given all other tokens of `ids`, and
    the likeliest token.

    Each place needs a forward pass of its own over `ids`, as everything else must be visible; about `batch_tokens`
    tokens are read at once. Raises ValueError if `ids` are longer than the model's context or the model is causal.
    """
    if model.config.causal:
        raise ValueError(f"A {model.config.network} sees only what comes before; pseudo-perplexity is for encoders.")
    if len(ids) > model.config.max_seq_len:
        raise ValueError(f"{len(ids):,} tokens do not fit the model's context of {model.config.max_seq_len:,}.")
    whole = torch.tensor(ids, device=model.device)
    rows = max(1, batch_tokens // max(1, len(ids)))
    found: list[tuple[float, int]] = []
    for start in range(0, len(hide), rows):
        places = torch.tensor(hide[start : start + rows], device=model.device)
        hidden = whole.repeat(len(places), 1)
        each = torch.arange(len(places), device=model.device)
        hidden[each, places] = mask
        states = model.hidden(hidden)[each, places]
        logits = model.logits(states).float()
        values = logits.log_softmax(-1)[each, whole[places]]
        found += zip(values.tolist(), logits.argmax(-1).tolist(), strict=True)
    return found
