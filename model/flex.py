"""FlexAttention: attention on a GPU that skips the blocks of a mask in which nothing may be seen (Dong et al. 2024).

With any mask given as a tensor, scaled_dot_product_attention leaves its flash kernel: 2.0 times the time without a mask
at 2,048 positions, 4.5 times at 8,192 (measured for unslothai/unsloth, pull request 11102, torch 2.13, head width 64).
FlexAttention computes the mask inside a flash kernel and does not touch blocks that it hides, so packed documents cost
less than a whole row. It has no backward pass on CPUs and is slow unless compiled; there, the tensor is used.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

NARROWEST = 16
"""The narrowest head that its kernels can compute."""


def document_blocks(documents: Tensor, *, causal: bool = True) -> BlockMask:
    """Return the mask that keeps attention within one document of a packed row, as blocks.

    documents: int64 (B, T), the number of the document at each position. It hides what `masks.same_document` hides.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        same = documents[batch, query] == documents[batch, key]
        return same & (query >= key) if causal else same

    rows, length = documents.shape
    return create_block_mask(visible, rows, None, length, length, device=documents.device)


def attend_blocks(queries: Tensor, keys: Tensor, values: Tensor, blocks: BlockMask) -> Tensor:
    """Return the attention (B, H, T, D) of queries to the keys that `blocks` shows them; keys may have fewer heads."""
    grouped = queries.shape[1] != keys.shape[1]
    mixed: Tensor = _flex_attention(queries.device.type)(queries, keys, values, block_mask=blocks, enable_gqa=grouped)
    return mixed


@functools.cache
def _flex_attention(device: str) -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False) if device == "cuda" else flex_attention
