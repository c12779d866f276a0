"""Masks: which positions a token may attend to. All are bool, true = may attend, and broadcast to (B, H, T, S)."""

from __future__ import annotations

import torch
from torch import Tensor


def causal(length: int, past: int, device: torch.device) -> Tensor:
    """Return the mask (T, past + T) of a chunk after `past` cached positions: each sees all of the past and itself."""
    return torch.ones(length, past + length, dtype=torch.bool, device=device).tril(past)


def padded(lengths: Tensor, length: int) -> Tensor:
    """Return the mask (B, 1, 1, T) that hides the padding after the first `lengths` (B) tokens of each row."""
    return (torch.arange(length, device=lengths.device) < lengths[:, None])[:, None, None, :]


def left_padded(padding: Tensor, length: int, past: int = 0) -> Tensor:
    """Return the causal mask (B, 1, T, past + T) of rows whose first `padding` (B) places are no text.

    A place of padding sees itself: attention over nothing would be nan, which spreads to the text behind it.
    """
    places = torch.arange(past + length, device=padding.device)
    here = places[past:, None]
    text = (places >= padding[:, None])[:, None]
    return ((text & (places <= here)) | (places == here))[:, None]


def behind(real: Tensor, length: int) -> Tensor:
    """Return the mask (B, 1, T, S + T) of T tokens that follow S cached positions, of which `real` (B, S) hold text."""
    own = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    past = real[:, None].expand(-1, length, -1)
    return torch.cat([past, own.expand(len(real), -1, -1)], dim=-1)[:, None]


def same_document(documents: Tensor, *, causal: bool = True) -> Tensor:
    """Return the mask (B, 1, T, T) that keeps attention within one document of a packed row.

    documents (B, T): the number of the document at each position. Padding has a number of its own, so that each
    position sees at least itself and no softmax is over nothing.
    """
    same = documents[:, None, :, None] == documents[:, None, None, :]
    return same.tril() if causal else same
