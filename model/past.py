"""What a model has read of several texts: keys and values, the padding before each text, and encoded source texts.

Shapes: B texts, T positions of a call, S positions of the longest source, C = d_model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from model import masks
from model.cache import KVCache
from model.gpt import GPT


class Growing(Protocol):
    """A text that grows, as far as who reads it has to know."""

    seen: list[int]
    """What the model sees of it, in token ids; the last one is the next that has to be read."""
    slid: bool
    """Whether the beginning of `seen` has changed since it was read."""
    cached: int | None
    """How many tokens of its beginning had not to be read; None = it was not read yet."""

    @property
    def ended(self) -> bool:
        """Whether it needs no more tokens."""

    @property
    def most(self) -> int:
        """How many tokens it has at its longest, without those that slide away."""

    @property
    def source(self) -> tuple[int, ...]:
        """The text that an encoder-decoder reads, in token ids."""


@dataclass(frozen=True)
class Source:
    """The encoded source texts of an encoder-decoder: states (B, S, C), padded on the right, and lengths (B)."""

    states: Tensor
    lengths: Tensor

    @classmethod
    def read(cls, model: GPT, texts: Sequence[Sequence[int]]) -> Source:
        """Encode source texts, given as token ids."""
        longest = max(map(len, texts))
        ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=model.device)
        lengths = torch.tensor([len(text) for text in texts], device=model.device)
        return cls(model.encode(ids, masks.padded(lengths, longest)), lengths)

    @property
    def mask(self) -> Tensor:
        """What may be seen of them: bool (B, 1, 1, S)."""
        return masks.padded(self.lengths, self.states.shape[1])

    def rows(self, places: Sequence[int]) -> Source:
        """Return those of the texts at `places`."""
        return Source(self.states[list(places)], self.lengths[list(places)])

    def joined(self, other: Source) -> Source:
        """Return those of both."""
        longest = max(self.states.shape[1], other.states.shape[1])
        states = [F.pad(one.states, (0, 0, 0, longest - one.states.shape[1])) for one in (self, other)]
        return Source(torch.cat(states), torch.cat([self.lengths, other.lengths]))


class Past:
    """Several texts, read up to the same last place; each but the longest begins with padding."""

    def __init__(self, model: GPT, cache: KVCache, padding: Tensor, source: Source | None) -> None:
        self.model, self.cache, self.padding, self.source = model, cache, padding, source

    @classmethod
    def read(cls, model: GPT, texts: Sequence[Sequence[int]], source: Source | None) -> tuple[Past, Tensor]:
        """Read texts, given as token ids, and return them and their last states (B, C)."""
        longest = max(map(len, texts))
        padding = torch.tensor([longest - len(text) for text in texts])
        past = cls(model, KVCache(model.config), padding, source)
        return past, past.go_on([[*[0] * (longest - len(text)), *text] for text in texts])

    @property
    def length(self) -> int:
        """How many positions were read, padding included."""
        return self.cache.length

    def go_on(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Read ids (B, T) that follow, and return the last states (B, C)."""
        here = torch.tensor(ids, device=self.model.device)
        states, mask = (self.source.states, self.source.mask) if self.source else (None, None)
        if not self.padding.any():
            return self.model.hidden(here, self.cache, memory=states, memory_mask=mask)[:, -1]
        padding, past, count = self.padding.to(here.device), self.length, here.shape[1]
        positions = (torch.arange(past, past + count, device=here.device) - padding[:, None]).clamp_min(0)
        return self.model.hidden(
            here,
            self.cache,
            positions=positions,
            mask=masks.left_padded(padding, count, past),
            memory=states,
            memory_mask=mask,
        )[:, -1]

    def rows(self, places: Sequence[int]) -> Past:
        """Return the texts at `places` (which may repeat, and are not none) with no more padding than they need."""
        padding = self.padding[list(places)]
        start = int(padding.min())
        source = self.source.rows(places) if self.source else None
        return Past(self.model, self.cache.rows(places, start), padding - start, source)

    def joined(self, other: Past) -> Past:
        """Return the texts of both, which end at the same place; the shorter ones get more padding."""
        length = max(self.length, other.length)
        padding = torch.cat([self.padding + length - self.length, other.padding + length - other.length])
        source = self.source.joined(other.source) if self.source and other.source else None
        return Past(self.model, self.cache.joined(other.cache), padding, source)
