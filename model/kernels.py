"""One step of a decoder, compiled: all layers for the next tokens of several texts, with the KV cache in blocks.

In one call, so that the time goes into the weights and not into calling a hundred small operations. For models of the
llama and qwen3 families in float32 on a CPU; everything else takes the way through torch (`model.paged`).

Products of few rows are faster here than in torch 2.13. All those of a step of 4.5 million weights, which come from
memory, take 1.3 ms instead of 2.7 for one row, 1.4 instead of 3.6 for four and 3.7 instead of 4.9 for sixteen (one busy
core, AVX-512).

Importing this module imports numba (a third of a second).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

# Sums may be taken in any order, but nan and infinity stay what they are: damaged weights must be noticed.
MATHS = {"reassoc", "contract", "arcp", "nsz"}
ZERO = np.float32(0)


def _compiled(function: Function) -> Function:
    """Compile at the first call; the machine code is kept for later processes where a folder can be written."""
    try:
        return cast(Function, numba.njit(function, cache=True, nogil=True, fastmath=MATHS, error_model="numpy"))
    except RuntimeError:
        return cast(Function, numba.njit(function, nogil=True, fastmath=MATHS, error_model="numpy"))


@_compiled
def product(x: np.ndarray, weight: np.ndarray, out: np.ndarray, add: bool) -> None:
    """Write x (n, K) times the transpose of weight (N, K) to out (n, N), or add it.

    Each row of the weight is read once, one after the other, as memory likes it: read in pairs, matrices that do not
    fit the cache took twice as long. It meets eight rows of x at a time.
    """
    rows, width = weight.shape
    count = x.shape[0]
    eights = count - count % 8
    fours = count - count % 4
    if not add:
        out[:] = ZERO
    for i in range(rows):
        for r in range(0, eights, 8):
            a = b = c = d = e = f = g = h = ZERO
            for j in range(width):
                w = weight[i, j]
                a += w * x[r, j]
                b += w * x[r + 1, j]
                c += w * x[r + 2, j]
                d += w * x[r + 3, j]
                e += w * x[r + 4, j]
                f += w * x[r + 5, j]
                g += w * x[r + 6, j]
                h += w * x[r + 7, j]
            out[r, i] += a
            out[r + 1, i] += b
            out[r + 2, i] += c
            out[r + 3, i] += d
            out[r + 4, i] += e
            out[r + 5, i] += f
            out[r + 6, i] += g
            out[r + 7, i] += h
        for r in range(eights, fours, 4):
            a = b = c = d = ZERO
            for j in range(width):
                w = weight[i, j]
                a += w * x[r, j]
                b += w * x[r + 1, j]
                c += w * x[r + 2, j]
                d += w * x[r + 3, j]
            out[r, i] += a
            out[r + 1, i] += b
            out[r + 2, i] += c
            out[r + 3, i] += d
        for r in range(fours, count):
            a = ZERO
            for j in range(width):
                a += weight[i, j] * x[r, j]
            out[r, i] += a


@_compiled
def normalise(x: np.ndarray, gain: np.ndarray, eps: np.float32, out: np.ndarray) -> None:
    """Write the rows of x (n, C), scaled to unit root-mean-square, times the gain (C), to out."""
    width = np.float32(x.shape[1])
    for r in range(x.shape[0]):
        total = ZERO
        for j in range(x.shape[1]):
            total += x[r, j] * x[r, j]
        scale = np.float32(1) / np.sqrt(total / width + eps)
        for j in range(x.shape[1]):
            out[r, j] = x[r, j] * scale * gain[j]


@_compiled
def turn(heads: np.ndarray, cosines: np.ndarray, sines: np.ndarray) -> None:
    """Turn heads (H, D) in place by the rotary angles of their position (D)."""
    half = heads.shape[1] // 2
    for h in range(heads.shape[0]):
        for j in range(half):
            low, high = heads[h, j], heads[h, j + half]
            heads[h, j] = low * cosines[j] - high * sines[j]
            heads[h, j + half] = high * cosines[j + half] + low * sines[j + half]


@_compiled
def attend(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, table: np.ndarray, length: int, scores: np.ndarray,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Write what queries (H, D) take from the first `length` places of a text to out (H, D).

    keys, values: blocks (blocks, size, K, D), of which `table` lists those of the text. scores: room (H, length).
    Blocks are read from their beginning to their end, once for all heads, as many texts do not fit the cache: read head
    by head, 16 texts of 76 tokens and 58 million weights took 52 ms a step instead of 45.
    """
    size, kv_heads, width = keys.shape[1:]
    heads = queries.shape[0]
    group = heads // kv_heads
    scale = np.float32(1 / math.sqrt(width))
    for b in range((length + size - 1) // size):
        block, first = keys[table[b]], b * size
        for place in range(min(size, length - first)):
            for h in range(heads):
                query, key = queries[h], block[place, h // group]
                score = ZERO
                for j in range(width):
                    score += query[j] * key[j]
                scores[h, first + place] = score * scale
    for h in range(heads):
        own = scores[h, :length]
        most, total = own.max(), ZERO
        for p in range(length):
            own[p] = np.exp(own[p] - most)
            total += own[p]
        own /= total
    out[:] = ZERO
    for b in range((length + size - 1) // size):
        block, first = values[table[b]], b * size
        for place in range(min(size, length - first)):
            for h in range(heads):
                mixed, value, share = out[h], block[place, h // group], scores[h, first + place]
                for j in range(width):
                    mixed[j] += share * value[j]


@_compiled
def attention(
    three: np.ndarray, positions: np.ndarray, tables: np.ndarray, keys: np.ndarray, values: np.ndarray,
    head_gains: np.ndarray, rotary: np.ndarray, eps: np.float32, mixed: np.ndarray,
) -> None:  # fmt: skip
    """Keep the keys and values of n tokens in a layer's blocks, and write what they see to mixed (n, H, D).

    three (n, H + 2 K, D): their queries, keys and values, which are turned in place; head_gains (2, D), or (0, D)
    without; keys, values: (blocks, size, K, D).
    """
    size, kv_heads = keys.shape[1:3]
    heads = mixed.shape[1]
    scores = np.empty((heads, positions.max() + 1), np.float32)
    for r in range(len(three)):
        position = positions[r]
        queries, own_keys = three[r, :heads], three[r, heads : heads + kv_heads]
        if len(head_gains):
            normalise(queries, head_gains[0], eps, queries)
            normalise(own_keys, head_gains[1], eps, own_keys)
        turn(queries, rotary[0, position], rotary[1, position])
        turn(own_keys, rotary[0, position], rotary[1, position])
        block, place = tables[r, position // size], position % size
        keys[block, place] = own_keys
        values[block, place] = three[r, heads + kv_heads :]
    for r in range(len(three)):
        attend(three[r, :heads], keys, values, tables[r], positions[r] + 1, scores, mixed[r])


@_compiled
def activate(both: np.ndarray, active: np.ndarray) -> None:
    """Write silu(gate) * up to active (n, F); both (n, 2 F): the gates, then the others."""
    inner = active.shape[1]
    for r in range(len(both)):
        for j in range(inner):
            gate = both[r, j]
            active[r, j] = gate / (np.float32(1) + np.exp(-gate)) * both[r, inner + j]


@_compiled
def add_and_normalise(x: np.ndarray, added: np.ndarray, gain: np.ndarray, eps: np.float32, out: np.ndarray) -> None:
    """Add to x (n, C) in place, and write it, normalised, to out."""
    x += added
    normalise(x, gain, eps, out)


@_compiled
def step(
    ids: np.ndarray, positions: np.ndarray, tables: np.ndarray, ends: np.ndarray, keys: np.ndarray,
    values: np.ndarray, embedding: np.ndarray, head: np.ndarray, qkv: np.ndarray, mix: np.ndarray,
    gate_up: np.ndarray, down: np.ndarray, gains: np.ndarray, head_gains: np.ndarray, rotary: np.ndarray,
    eps: np.float32, logits: np.ndarray,
) -> None:  # fmt: skip
    """Read n tokens, keep their keys and values, and write the logits (E, V) after those whose numbers are `ends` (E).

    ids, positions (n): each token and its place in its text; tables (n, most blocks): the blocks of its text. All keys
    of a layer are there before a token looks at them, so that tokens of one text may follow each other in one call.
    keys, values: (layers, blocks, size, K, D). qkv (layers, (H + 2 K) D, C), mix (layers, C, H D), gate_up (layers,
    2 F, C), down (layers, C, F), gains (2 layers + 1, C); head_gains (layers, 2, D), or (layers, 0, D) without.
    """
    count, width = len(ids), embedding.shape[1]
    kv_heads, head_dim = keys.shape[3:]
    heads = mix.shape[2] // head_dim
    inner = down.shape[2]
    x = np.empty((count, width), np.float32)
    normed = np.empty((count, width), np.float32)
    mixed = np.empty((count, heads, head_dim), np.float32)
    three = np.empty((count, heads + 2 * kv_heads, head_dim), np.float32)
    both = np.empty((count, 2 * inner), np.float32)
    active = np.empty((count, inner), np.float32)
    for r in range(count):
        x[r] = embedding[ids[r]]
    for layer in range(len(qkv)):
        normalise(x, gains[2 * layer], eps, normed)
        product(normed, qkv[layer], three.reshape(count, -1), False)
        attention(three, positions, tables, keys[layer], values[layer], head_gains[layer], rotary, eps, mixed)
        product(mixed.reshape(count, -1), mix[layer], x, True)
        normalise(x, gains[2 * layer + 1], eps, normed)
        product(normed, gate_up[layer], both, False)
        activate(both, active)
        product(active, down[layer], x, True)
    last = np.empty((len(ends), width), np.float32)
    for number in range(len(ends)):
        last[number] = x[ends[number]]
    normalise(last, gains[-1], eps, last)
    product(last, head, logits, False)
