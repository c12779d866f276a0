"""Attention: grouped queries over the text itself or over an encoded source.

Shapes: B batch, T positions of this call, S positions in all (cached + T), H query heads, K key/value heads, D head
width, C = d_model. Parameter names are those of `transformers`' Llama, so an export renames nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.cache import KVCache
from model.flex import attend_blocks
from model.norms import RMSNorm
from model.paged import PagedPass
from model.positions import rotate
from model.shape import GPTConfig

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class Reach:
    """What the T positions of a call may attend to, the same for all layers.

    angles: rotary angles of the positions, (2, T, D) or (2, B, 1, T, D); None = no rotary positions. mask: bool,
    broadcast to (B, H, T, S), true = may attend, or the blocks that `model.flex` makes; None = all positions before
    (causal) or all (not causal).
    """

    angles: Tensor | None
    mask: Tensor | BlockMask | None
    causal: bool


SHORT = 512
"""Positions up to which a CPU trains faster with all attention weights held in memory; with a mask, only in bfloat16.

Forward and backward of 8 × 4 heads of 256 positions in packed documents take 19 ms with the weights in memory and 35
with torch's kernel in bfloat16, but 41 and 29 ms in float32 (torch 2.13, one core).
"""


def attend_short(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, causal: bool = True, dropout: float = 0.0
) -> Tensor:
    """Return attention (B, H, T, D) with all weights (B, H, T, S) in memory at once, as torch's math backend.

    On CPUs the flash kernel pays off for long sequences only: forward and backward of 8 × 4 heads of 256 positions take
    25.6 ms with it and 9.0 ms with this function (torch 2.13, one core, bfloat16).
    """
    group = queries.shape[1] // keys.shape[1]
    if group > 1:
        keys, values = keys.repeat_interleave(group, dim=1), values.repeat_interleave(group, dim=1)
    length = queries.shape[2]
    with torch.autocast(queries.device.type, enabled=False):  # autocast would run the softmax in float32
        scores = (queries * queries.shape[3] ** -0.5) @ keys.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        elif causal:
            scores = scores + torch.full(
                (length, length), -torch.inf, dtype=queries.dtype, device=queries.device
            ).triu_(1)
        return F.dropout(scores.softmax(dim=-1), dropout) @ values if dropout else scores.softmax(dim=-1) @ values


class Attention(nn.Module):
    """Attention with grouped queries (Ainslie et al. 2023), over the text itself or over an encoded source.

    qwen3 normalises queries and keys per head before they are turned; gpt2 adds biases and has no rotary positions.
    """

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dropout = layer, config.dropout
        self.n_head, self.n_kv_head, self.head_dim = config.n_head, config.n_kv_head, config.head_dim
        bias = config.family == "gpt2"
        self.q_proj = nn.Linear(config.d_model, config.n_head * config.head_dim, bias=bias)
        self.k_proj = nn.Linear(config.d_model, config.n_kv_head * config.head_dim, bias=bias)
        self.v_proj = nn.Linear(config.d_model, config.n_kv_head * config.head_dim, bias=bias)
        self.o_proj = nn.Linear(config.n_head * config.head_dim, config.d_model, bias=bias)
        normed = config.family == "qwen3"
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if normed else None
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if normed else None

    def forward(self, x: Tensor, reach: Reach, cache: KVCache | None) -> Tensor:
        """Return the mixed values (B, T, C) of the text `x` (B, T, C) and of what the cache has of it."""
        queries = self._heads(self.q_proj(x), self.q_norm)
        keys = self._heads(self.k_proj(x), self.k_norm)
        values = self._heads(self.v_proj(x), None)
        if reach.angles is not None:
            queries, keys = rotate(queries, reach.angles), rotate(keys, reach.angles)
        if isinstance(cache, PagedPass):
            return self.o_proj(cache.attend(self.layer, queries, keys, values).transpose(1, 2).flatten(2))
        if cache is not None:
            keys, values = cache.append(self.layer, keys, values)
        return self._mix(queries, keys, values, reach)

    def read(self, x: Tensor, memory: Tensor, reach: Reach, cache: KVCache | None) -> Tensor:
        """Return what the text `x` (B, T, C) takes from the encoded source `memory` (B, S, C): (B, T, C).

        Neither side is turned: a distance between a text and its translation means nothing.
        """
        kept = None if cache is None else cache.source(self.layer)
        if kept is None:
            kept = (self._heads(self.k_proj(memory), self.k_norm), self._heads(self.v_proj(memory), None))
            if cache is not None:
                cache.keep_source(self.layer, *kept)
        return self._mix(self._heads(self.q_proj(x), self.q_norm), *kept, reach)

    def _heads(self, x: Tensor, norm: RMSNorm | None) -> Tensor:
        """Split (B, T, heads × D) into (B, heads, T, D)."""
        x = x.view(*x.shape[:2], -1, self.head_dim)
        return (x if norm is None else norm(x)).transpose(1, 2)

    def _mix(self, queries: Tensor, keys: Tensor, values: Tensor, reach: Reach) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        length = queries.shape[2]
        mask, causal = reach.mask, reach.causal and reach.mask is None
        if mask is not None and not isinstance(mask, Tensor):
            mixed = attend_blocks(queries, keys, values, mask)
        elif (
            queries.device.type == "cpu"
            and torch.is_grad_enabled()
            and keys.shape[2] <= SHORT
            and (mask is None or queries.dtype == torch.bfloat16)
        ):
            mixed = attend_short(queries, keys, values, mask, causal, dropout)
        else:
            mixed = F.scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=mask,
                is_causal=causal and length > 1,
                dropout_p=dropout,
                enable_gqa=self.n_head != self.n_kv_head,
            )
        return self.o_proj(mixed.transpose(1, 2).reshape(queries.shape[0], length, -1))
