"""Keys and values in blocks, and what a pass over new tokens of several texts does with them (Kwon et al. 2023).

Shapes: T tokens of a pass, H query heads, K key/value heads, D head width, S places of a text's blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.blocks import blocks_for
from model.cache import KVCache
from model.shape import GPTConfig

BLOCK_SIZE = 16
"""Tokens of a block, as vLLM's default: small blocks are shared to the last sentence, large ones are read faster."""


def bytes_per_block(config: GPTConfig, dtype: torch.dtype) -> int:
    """Return the memory that a block takes."""
    return 2 * config.n_layer * BLOCK_SIZE * config.n_kv_head * config.head_dim * dtype.itemsize


class KVBlocks:
    """The keys and values of all blocks: two tensors (layers, blocks, BLOCK_SIZE, K, D)."""

    def __init__(self, config: GPTConfig, count: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.n_layer, count, BLOCK_SIZE, config.n_kv_head, config.head_dim)
        self.config = config
        self.keys, self.values = (_zeros(shape, dtype, device) for _ in range(2))


def _zeros(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros that take memory of a CPU only where something else was written: no number times 0 is then nan."""
    if device.type != "cpu":
        return torch.zeros(tuple(shape), dtype=dtype, device=device)
    size = int(np.prod(shape)) * dtype.itemsize
    return torch.from_numpy(np.zeros(size, np.uint8)).view(dtype).view(tuple(shape))


@dataclass(frozen=True)
class Part:
    """New tokens of a text: `count` of them, the first one at place `start`; its blocks in order."""

    start: int
    count: int
    blocks: Sequence[int]


class PagedPass(KVCache):
    """The cache for one pass over the new tokens of several texts, which stand one after the other in a single row."""

    def __init__(self, kv: KVBlocks, parts: Sequence[Part]) -> None:
        super().__init__(kv.config)
        self.kv = kv
        device = kv.keys.device
        places = [
            part.blocks[place // BLOCK_SIZE] * BLOCK_SIZE + place % BLOCK_SIZE
            for part in parts
            for place in range(part.start, part.start + part.count)
        ]
        self._places = torch.tensor(places, device=device)
        self._groups: list[tuple[Tensor, Tensor, Tensor]] = []
        """Texts with equally many new tokens: the tokens' numbers (B, T), their blocks, what each token sees."""
        first, alike = 0, dict[int, list[tuple[int, Part]]]()
        for part in parts:
            # one new token each: all such texts at once; several: a text alone, as its attention is worth a call
            alike.setdefault(0 if part.count == 1 else first + 1, []).append((first, part))
            first += part.count
        for group in alike.values():
            count = group[0][1].count
            numbers = torch.tensor([list(range(begin, begin + count)) for begin, _ in group], device=device)
            longest = max(blocks_for(part.start + part.count, BLOCK_SIZE) for _, part in group)
            tables = [[*part.blocks[:longest], *[0] * (longest - len(part.blocks))] for _, part in group]
            ends = torch.tensor([[part.start + own for own in range(count)] for _, part in group], device=device)
            sees = torch.arange(longest * BLOCK_SIZE, device=device) <= ends[:, :, None]
            self._groups.append((numbers, torch.tensor(tables, device=device), sees[:, None]))

    def attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Keep keys and values (1, K, T, D), and return what queries (1, H, T, D) take from their own texts."""
        all_keys, all_values = self.kv.keys[layer], self.kv.values[layer]
        all_keys.view(-1, *all_keys.shape[2:])[self._places] = keys[0].transpose(0, 1)
        all_values.view(-1, *all_values.shape[2:])[self._places] = values[0].transpose(0, 1)
        mixed = torch.empty_like(queries)
        for numbers, tables, sees in self._groups:
            mixed[0][:, numbers] = F.scaled_dot_product_attention(
                queries[0][:, numbers].transpose(0, 1),
                all_keys[tables].flatten(1, 2).transpose(1, 2),
                all_values[tables].flatten(1, 2).transpose(1, 2),
                attn_mask=sees,
                enable_gqa=queries.shape[1] != keys.shape[1],
            ).transpose(0, 1)
        return mixed
