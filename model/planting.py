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
from model.induction import FAST, frequency, refusal, slow_pairs
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
    width, head, half = shape.d_model, shape.head_dim, shape.head_dim // 2
    slow = slow_pairs(shape)
    pairs = min(len(slow) // 2, (width - 1) // (4 * shape.n_head))
    # of each head of the second block, the dimensions that compare the last token, and those for the one before it
    last, earlier = (
        [*places, *(half + pair for pair in places)] for places in (slow[: 2 * pairs : 2], slow[1 : 2 * pairs : 2])
    )
    told = 2 * pairs * shape.n_head  # numbers by which tokens are told apart

    weight = model.embed_tokens.weight
    weight.mul_(EMBEDDING / 0.02)
    weight[:, 0] = COMMON
    token = EMBEDDING * math.sqrt(width)  # the length of what tells tokens apart
    own, carried, moved = (_directions(rows, width, generator) for rows in (told, 2 * told, width - 1))
    before = carried[:told], carried[told:]  # where a token finds the one before it, and the one before that

    first, second = (_attention(model, number) for number in (0, 1))
    gain = math.sqrt(width) / math.hypot(token, COMMON)  # what the norm multiplies an embedding by
    scale, share = math.sqrt(CARRIED / gain), 4 * pairs
    for number in range(shape.n_head):
        distance, place = divmod(number, shape.n_head // 2)
        start, part = number * head, slice(place * share, (place + 1) * share)
        rows = slice(start, start + head)
        _look_back(first.q_proj.weight[rows], first.k_proj.weight[rows], shape, distance + 1, COMMON * gain)
        first.v_proj.weight[start : start + share] = own[part] * scale
        first.o_proj.weight[:, start : start + share] = before[distance][part].T * scale

    gain = math.sqrt(width) / math.sqrt(token**2 + COMMON**2 + 2 * (CARRIED * token) ** 2 * told / width)
    scale = math.sqrt(COPIED / gain)
    for number in range(shape.n_head):
        rows, part = slice(number * head, (number + 1) * head), slice(2 * pairs * number, 2 * pairs * (number + 1))
        queries, keys = second.q_proj.weight[rows], second.k_proj.weight[rows]
        queries[last], keys[last] = own[part] * MATCH, before[0][part] * (MATCH / CARRIED)
        queries[earlier], keys[earlier] = (before[place][part] * (MATCH / CARRIED) for place in (0, 1))
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
