"""One dial: the depth of a Llama sets its width, heads, context, and the rate, batch and steps of its training.

Width and heads grow with depth as in nanochat (64 per layer). How long it is trained follows from tokens per weight
(Hoffmann et al. 2022: 20 use a budget best), batch and rate from both (Li et al. 2025, "Step Law": batch 0.58 D^0.571
tokens, rate 1.79 N^-0.713 D^0.307 for AdamW, N weights without embeddings, D tokens). At the demo's size these give
about 1,700 tokens per step and a rate of 2.9e-3, where trials there found 2,048 and 2e-3 to 3e-3.
"""

from __future__ import annotations

from typing import Any

SHAPES_NO_RESULT = "fills configs, whose values are in the key"

HEAD_WIDTH = 64
LONGEST = 2048
HIGHEST_RATE = 3e-3
"""The law was fitted to 60 million weights and more. For smaller ones it gives rates at which the demo stalls."""


def shape_of(depth: int) -> dict[str, Any]:
    """Return the fields of a shape with `depth` layers."""
    width = HEAD_WIDTH * depth
    return {
        "n_layer": depth,
        "n_head": depth,
        "n_kv_head": depth,
        "d_model": width,
        "d_ff": -(-8 * width // (3 * 256)) * 256,  # two thirds of 4 × width (Shazeer 2020), up to a multiple of 256
        "max_seq_len": min(LONGEST, 64 * depth),
    }


def training_of(depth: int, tokens_per_weight: float) -> dict[str, Any]:
    """Return length, batch and rate of the training of `shape_of(depth)`."""
    shape = shape_of(depth)
    weights = depth * shape["d_model"] * (4 * shape["d_model"] + 3 * shape["d_ff"])
    tokens = tokens_per_weight * weights
    batch_size = max(1, round(0.58 * tokens**0.571 / shape["max_seq_len"]))
    return {
        "steps": max(1, round(tokens / (batch_size * shape["max_seq_len"]))),
        "batch_size": batch_size,
        "learning_rate": min(HIGHEST_RATE, float(f"{1.79 * weights**-0.713 * tokens**0.307:.2g}")),
    }
