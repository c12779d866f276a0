"""Texts that begin alike: the tokens that several have in common are read once, and their keys and values are kept.

Shapes: B texts, T tokens of a call, S positions so far, C = d_model.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from model import masks
from model.cache import KVCache
from model.gpt import GPT

Row = tuple[int, ...]

WORTH = 32
"""Tokens that must be spared for a shared beginning to be read by itself, as that costs a call and copies."""
LEAST = 8
"""Tokens that it must have: what follows it is slower to read, however many texts begin with the same word."""
MOST_LEVELS = 4
"""Shared beginnings of shared beginnings (shots, question, choice) up to this depth; it bounds the memory."""


@dataclass
class Piece:
    """A piece of one or several texts: the tokens `row[start:]`, which follow those of the piece above it.

    A piece without others below it ends the text with the number `text`.
    """

    row: Row
    start: int
    text: int
    below: list[Piece] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many tokens the piece has."""
        return len(self.row) - self.start


def pieces_of(rows: Sequence[Row], own: Sequence[int]) -> list[Piece]:
    """Divide different texts into pieces, so that what several begin with is a piece that they share.

    own: how many tokens at the end of each text (at least 1) no other may share, as their states are asked for.
    """
    order = sorted(range(len(rows)), key=rows.__getitem__)
    free = [len(rows[number]) - own[number] for number in order]
    same = [
        min(_common(rows[a], rows[b]), free[at], free[at + 1]) for at, (a, b) in enumerate(itertools.pairwise(order))
    ]
    return _divided(rows, order, np.array(same, dtype=np.int64), 0, len(order), 0, MOST_LEVELS)


def _divided(
    rows: Sequence[Row], order: Sequence[int], same: np.ndarray, first: int, end: int, start: int, levels: int
) -> list[Piece]:
    """Divide what lies behind the first `start` tokens of the sorted texts first … end - 1, which share these."""
    made: list[Piece] = []
    todo = [(first, end)]
    while todo:
        first, end = todo.pop()
        if end - first <= 1 or levels == 1:
            made += [Piece(rows[number], start, number) for number in order[first:end]]
            continue
        shared = int(same[first : end - 1].min())
        cuts = (np.flatnonzero(same[first : end - 1] == shared) + first + 1).tolist()
        parts = list(zip([first, *cuts], [*cuts, end], strict=True))
        if shared - start < LEAST or (shared - start) * len(cuts) < WORTH:
            todo += parts
            continue
        piece = Piece(rows[order[first]][:shared], start, -1)
        for part in parts:
            piece.below += _divided(rows, order, same, *part, shared, levels - 1)
        made.append(piece)
    return made


def _common(one: Row, other: Row) -> int:
    """Return how many tokens two texts begin with in common."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place in range(shorter) if one[place] != other[place])


@dataclass(frozen=True)
class _Read:
    """What was read of several texts: keys and values, and which of their S positions each text has: bool (B, S)."""

    cache: KVCache
    real: Tensor

    def rows(self, places: Sequence[int]) -> _Read:
        return _Read(self.cache.rows(places), self.real[list(places)])


class PrefixReader:
    """Reads texts piece by piece.

    At once it reads at most `most_tokens`, padding included, or one piece. Of each level of pieces it keeps the keys
    and values of at most twice as many positions, or of one text.
    """

    def __init__(self, model: GPT, most_tokens: int, on_read: Callable[[int], None] = lambda _: None) -> None:
        """`on_read` is told how many tokens were just read."""
        self.model, self.most_tokens, self.on_read = model, most_tokens, on_read

    def states(self, pieces: Sequence[Piece]) -> Iterator[tuple[list[Piece], Tensor]]:
        """Yield the last pieces of the texts in batches, with the states (B, T, C) of their tokens before padding."""
        yield from self._below([(piece, 0) for piece in pieces], None)

    def _below(self, pieces: list[tuple[Piece, int]], above: _Read | None) -> Iterator[tuple[list[Piece], Tensor]]:
        """Read pieces that follow the texts at these places of `above`."""
        for part in self._parts([one for one in pieces if not one[0].below], above):
            yield [piece for piece, _ in part], self._read(part, above, keep=False)[1]
        for part in self._parts([one for one in pieces if one[0].below], above):
            read, _ = self._read(part, above, keep=True)
            yield from self._below([(own, at) for at, (piece, _) in enumerate(part) for own in piece.below], read)

    def _parts(self, pieces: list[tuple[Piece, int]], above: _Read | None) -> Iterator[list[tuple[Piece, int]]]:
        pieces = sorted(pieces, key=lambda one: one[0].length, reverse=True)
        past = above.real.shape[1] if above else 0
        start = 0
        while start < len(pieces):
            longest = pieces[start][0].length
            count = max(1, min(self.most_tokens // longest, 2 * self.most_tokens // (past + longest)))
            yield pieces[start : start + count]
            start += count

    def _read(self, part: list[tuple[Piece, int]], above: _Read | None, keep: bool) -> tuple[_Read, Tensor]:
        found = self._passed(part, above, keep)
        self.on_read(sum(piece.length for piece, _ in part))
        return found

    def _passed(self, part: list[tuple[Piece, int]], above: _Read | None, keep: bool) -> tuple[_Read, Tensor]:
        device = self.model.device
        lengths = torch.tensor([piece.length for piece, _ in part])
        longest = int(lengths.max())
        ids = torch.zeros(len(part), longest, dtype=torch.int64)
        for target, (piece, _) in zip(ids, part, strict=True):
            target[: piece.length] = torch.tensor(piece.row[piece.start :])
        ids = ids.to(device)
        real = (torch.arange(longest) < lengths[:, None]).to(device)
        if above is None:
            cache = KVCache(self.model.config)
            return _Read(cache, real), self.model.hidden(ids, cache if keep else None)
        past = above.rows([place for _, place in part])
        if bool(past.real.all()):
            states = self.model.hidden(ids, past.cache)
        else:
            positions = past.real.sum(1, keepdim=True) + torch.arange(longest, device=device)
            states = self.model.hidden(
                ids,
                past.cache,
                positions=positions.clamp_max(self.model.config.max_seq_len - 1),
                mask=masks.behind(past.real, longest),
            )
        return _Read(past.cache, torch.cat([past.real, real], 1)), states
