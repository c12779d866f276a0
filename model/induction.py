"""What a network needs to begin with an induction circuit (`model.planting`), known without importing torch."""

from __future__ import annotations

import math

from model.shape import GPTShape

FAST = 5
"""Pairs of rotary dimensions, the fastest, by which a head tells places apart."""

COMPARED = 3
"""Tokens that have to be the same for what followed them to be copied, if there are as many heads. Two are too few: in
documentation, what each function does follows the same end of a signature."""


def refusal(shape: GPTShape) -> str | None:
    """Return why a network of this shape cannot begin with the circuit; None if it can."""
    if shape.family != "llama" or shape.network != "decoder":
        return f"it is made for a llama decoder, not for a {shape.family} {shape.network}"
    if not shape.tie_embeddings or shape.rope_scaling is not None:
        return "the embedding must be the output matrix too (tie_embeddings), and the rotary positions not be scaled"
    if shape.n_layer < 2 or shape.n_head % 2 or shape.n_kv_head != shape.n_head:
        return "it takes two blocks, an even number of heads, and as many key/value heads as heads"
    if shape.n_head * shape.head_dim != shape.d_model or shape.head_dim < 2 * FAST:
        return f"its heads must share the width of the model, and have at least {2 * FAST} dimensions"
    if len(slow_pairs(shape)) < tokens_compared(shape):
        return f"its rotary dimensions turn too fast for a context of {shape.max_seq_len:,} tokens; raise rope_theta"
    return None


def tokens_compared(shape: GPTShape) -> int:
    """Return how many tokens the circuit compares: each takes a head of the first block that carries it onwards."""
    return min(COMPARED, shape.n_head)


def slow_pairs(shape: GPTShape) -> list[int]:
    """Return the pairs of rotary dimensions that turn by less than half a turn within the context: what is compared in
    them looks the same at any distance."""
    return [pair for pair in range(shape.head_dim // 2) if frequency(shape, pair) * shape.max_seq_len < math.pi]


def frequency(shape: GPTShape, pair: int) -> float:
    """Return the angle by which a pair of rotary dimensions turns from one place to the next."""
    return float(shape.rope_theta ** (-2 * pair / shape.head_dim))
