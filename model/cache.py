"""The cache of keys and values, with which generation reads each token once; its rows come and go.

Shapes: B rows, K key/value heads, S positions so far, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.shape import GPTConfig


class KVCache:
    """Keys and values of the positions seen so far: per layer two tensors (B, K, S, D), which grow as needed."""

    def __init__(self, config: GPTConfig) -> None:
        self.config = config
        self.length = 0
        self._stored: dict[int, tuple[Tensor, Tensor]] = {}
        self._source: dict[int, tuple[Tensor, Tensor]] = {}

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values (B, K, T, D) to those of layer `layer` and return all of them: (B, K, S, D) twice.

        The caller advances `length` after the last layer, so that all layers see the same offset.
        """
        end = self.length + keys.shape[2]
        stored = self._stored.get(layer)
        if stored is None or stored[0].shape[2] < end:  # twice the room, so that all copying together costs little
            room = max(end, min(self.config.max_seq_len, max(64, 2 * end)))
            shape = (keys.shape[0], keys.shape[1], room, keys.shape[3])
            grown = (keys.new_empty(shape), values.new_empty(shape))
            if stored is not None:
                for old, new in zip(stored, grown, strict=True):
                    new[:, :, : self.length] = old[:, :, : self.length]
            self._stored[layer] = stored = grown
        all_keys, all_values = stored
        all_keys[:, :, self.length : end] = keys
        all_values[:, :, self.length : end] = values
        return all_keys[:, :, :end], all_values[:, :, :end]

    def source(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """Return the keys and values of the encoded source text for layer `layer`, if they were kept."""
        return self._source.get(layer)

    def keep_source(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Keep the keys and values of the encoded source text: they are the same for each new token."""
        self._source[layer] = (keys, values)

    def rows(self, places: Sequence[int], start: int = 0) -> KVCache:
        """Return a cache of the rows at `places`, which may repeat, without the first `start` positions.

        Source texts are not taken along: they are read again from what the encoder made of them.
        """
        made = KVCache(self.config)
        made.length = self.length - start
        for layer, (keys, values) in self._stored.items():
            index = torch.tensor(places, device=keys.device)
            made._stored[layer] = (
                keys[:, :, start : self.length].index_select(0, index),
                values[:, :, start : self.length].index_select(0, index),
            )
        return made

    def joined(self, other: KVCache) -> KVCache:
        """Return a cache of the rows of both, which end together: the shorter of the two begins with zeros."""
        made = KVCache(self.config)
        made.length = max(self.length, other.length)
        for layer, (keys, values) in self._stored.items():
            other_keys, other_values = other._stored[layer]
            made._stored[layer] = (
                torch.cat([_ending(keys, self.length, made.length), _ending(other_keys, other.length, made.length)]),
                torch.cat(
                    [_ending(values, self.length, made.length), _ending(other_values, other.length, made.length)]
                ),
            )
        return made


def _ending(part: Tensor, length: int, wanted: int) -> Tensor:
    """Return the first `length` positions of `part` (B, K, S, D) after as many zeros as make `wanted` of them."""
    return F.pad(part[:, :, :length], (0, 0, wanted - length, 0))
