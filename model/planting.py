"""An induction circuit from the first step: a decoder whose first weights already copy what stood earlier in the text.

Models learn to copy when heads of one block tell each token which ones came before it, and heads of the next block look
for the places where the same came before (Olsson et al. 2022, "In-context learning and induction heads"). Neither is of
use without the other, so the circuit is found late, in a small training never. Here the first two blocks
begin with it, as others begin with attention in the form that training gives it (Trockman and Kolter 2023, "Mimetic
initialization of self-attention layers"). The shape and the arithmetic are unchanged, all weights are trained,
and those that the circuit does not need begin as in any other model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.attention import Attention
from model.gpt import GPT
from model.induction import FAST, frequency, refusal, slow_pairs, tokens_compared
from model.layers import Block
from model.shape import GPTShape

EMBEDDING = 0.1
"""Standard deviation of the embeddings. With the usual 0.02, what tokens have in common soon outgrows what tells them
apart, and the circuit is lost after 12 steps of the demo."""

COMMON = 0.8
"""The first number of each embedding: what a head that looks for a place, not for a token, goes by."""

PLACE, MATCH = 120.0, 4.0
"""How sharply the heads of the first block look back, and those of the second at a match."""

CARRIED, COPIED = 1.5, 3.0
"""How long the carried and the copied token are, relative to a token's own embedding."""


@torch.no_grad()
def plant(model: GPT, seed: int) -> GPT:
    """Give a freshly initialised model the circuit, from a generator of its own, and return it.

    Raises ValueError if its shape has no room for it.
    """
    shape = model.config
    if why := refusal(shape):
        raise ValueError(f"The model cannot begin with an induction circuit: {why}.")
    generator = torch.Generator().manual_seed(seed)
    width, head, half, compared = shape.d_model, shape.head_dim, shape.head_dim // 2, tokens_compared(shape)
    slow = slow_pairs(shape)
    pairs = len(slow) // compared
    # of each head of the second block, the dimensions that compare the last token, the one before it, and so on
    dimensions = [
        [*places, *(half + pair for pair in places)]
        for places in (slow[number : pairs * compared : compared] for number in range(compared))
    ]
    told = min(2 * pairs * shape.n_head, head, (width - 1) // (compared + 1))  # numbers by which tokens are told apart

    weight = model.embed_tokens.weight
    weight.mul_(EMBEDDING / 0.02)
    weight[:, 0] = COMMON
    token = EMBEDDING * math.sqrt(width)  # the length of what tells tokens apart
    own, carried, moved = (_directions(rows, width, generator) for rows in (told, compared * told, width - 1))
    before = carried.split(told)  # where a token finds the one before it, the one before that, and so on

    first, second = (_attention(model, number) for number in (0, 1))
    gain = math.sqrt(width) / math.hypot(token, COMMON)  # what the norm multiplies an embedding by
    scale = math.sqrt(CARRIED / gain)
    for number in range(compared):
        start = number * head
        rows = slice(start, start + head)
        _look_back(first.q_proj.weight[rows], first.k_proj.weight[rows], shape, number + 1, COMMON * gain)
        first.v_proj.weight[start : start + told] = own * scale
        first.o_proj.weight[:, start : start + told] = before[number].T * scale

    gain = math.sqrt(width) / math.sqrt(token**2 + COMMON**2 + compared * (CARRIED * token) ** 2 * told / width)
    scale = math.sqrt(COPIED / gain)
    for number in range(shape.n_head):
        rows = slice(number * head, (number + 1) * head)
        part = torch.arange(2 * pairs * number, 2 * pairs * (number + 1)) % told
        queries, keys = second.q_proj.weight[rows], second.k_proj.weight[rows]
        for nth, places in enumerate(dimensions):
            keys[places] = before[nth][part] * (MATCH / CARRIED)
            queries[places] = before[nth - 1][part] * (MATCH / CARRIED) if nth else own[part] * MATCH
        copied = moved[rows] * scale
        second.v_proj.weight[rows][: len(copied)] = copied
        second.o_proj.weight[:, rows][:, : len(copied)] = copied.T
    return model


def _attention(model: GPT, number: int) -> Attention:
    block = model.layers[number]
    assert isinstance(block, Block)
    return block.self_attn


def _look_back(queries: Tensor, keys: Tensor, shape: GPTShape, distance: int, common: float) -> None:
    """Make a head look at the place so many tokens before, whatever stands there: its keys are turned that much further
    than its queries, so that both point the same way there."""
    size = math.sqrt(PLACE * math.sqrt(shape.head_dim) / FAST) / common
    half = shape.head_dim // 2
    for pair in range(FAST):
        angle = distance * frequency(shape, pair)
        for weights in (queries, keys):
            weights[[pair, half + pair]] = 0.0
        queries[pair, 0] = size
        keys[pair, 0], keys[half + pair, 0] = size * math.cos(angle), size * math.sin(angle)


def _directions(rows: int, width: int, generator: torch.Generator) -> Tensor:
    """Return orthonormal rows (rows, width) that leave out the first number, which all embeddings have in common."""
    drawn = torch.empty(width, width, dtype=torch.float64).normal_(generator=generator)
    drawn[:, 0] = 0.0
    drawn[0] = 0.0
    drawn[0, 0] = 1.0
    basis, _ = torch.linalg.qr(drawn.T)
    return basis.T[1 : rows + 1].float()
