"""Rotary positions: queries and keys are turned by angles that grow with the position (Su et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.shape import GPTShape, RopeScaling


def rotary_table(shape: GPTShape) -> Tensor:
    """Return cosines and sines of the rotary angles: (2, max_seq_len, D), float32.

    Half-split layout, as in `transformers`: dimension i turns together with i + D/2.
    """
    exponents = -torch.arange(0, shape.head_dim, 2, dtype=torch.float64) / shape.head_dim
    frequencies = shape.rope_theta**exponents
    if shape.rope_scaling is not None:
        frequencies = stretched(frequencies, shape.rope_scaling)
    angles = torch.outer(torch.arange(shape.max_seq_len, dtype=torch.float64), frequencies)
    angles = torch.cat([angles, angles], dim=-1)
    return torch.stack([angles.cos(), angles.sin()]).float()


def stretched(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """Return the frequencies (D/2) of Llama 3.1: those that turn rarely within the original context are divided by
    `factor`, those that turn often stay, and between the two limits they are blended linearly in turns per context.
    """
    turns = scaling.original_max_seq_len * frequencies / (2 * math.pi)
    slow, fast = scaling.low_freq_factor, scaling.high_freq_factor
    share = ((turns - slow) / (fast - slow)).clamp(0, 1)
    return frequencies * ((1 - share) / scaling.factor + share)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn `x` (B, heads, T, D) by the angles of `table`: (2, T, D), or (2, B, 1, T, D) with positions per row."""
    cos, sin = table[0].to(x.dtype), table[1].to(x.dtype)
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin
