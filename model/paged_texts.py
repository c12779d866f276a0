"""Texts that grow side by side with their keys and values in blocks: what they begin with in common is read once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from model.blocks import BlockPool, BlockTable, blocks_for
from model.compiled import Compiled
from model.gpt import GPT
from model.padded import PREFILL_TOKENS
from model.paged import BLOCK_SIZE, KVBlocks, PagedPass, Part, bytes_per_block
from model.past import Growing
from model.quantising import dequantised

SPARED = 1 << 26
"""Weights up to which a quantised model is computed in float32: 268 MB."""


def megabytes_of(model: GPT, texts: int, tokens: int) -> float:
    """Return the memory that keys and values of so many texts of so many tokens take."""
    return texts * blocks_for(tokens, BLOCK_SIZE) * bytes_per_block(model.config, model.dtype) / 1e6


class PagedTexts:
    """What a decoder has read of texts that come and go, in at most `megabytes` of memory; as `model.padded` otherwise.

    Texts that have no room wait; a text of the model's full context has room alone.
    """

    def __init__(self, model: GPT, megabytes: float) -> None:
        """Raises ValueError if a single text does not fit, or if the network reads source texts."""
        config, dtype = model.config, model.dtype
        if config.network != "decoder":
            raise ValueError(f"Blocks hold the texts of decoders; this network is of kind {config.network}.")
        size = bytes_per_block(config, dtype)
        count, least = round(megabytes * 1e6) // size, blocks_for(config.max_seq_len, BLOCK_SIZE)
        if count < least:
            raise ValueError(
                f"{megabytes:,.1f} MB hold {count * BLOCK_SIZE:,} tokens of this model, but its context alone is "
                f"{config.max_seq_len:,} tokens: give it at least {least * size / 1e6:,.1f} MB."
            )
        # Few bits are slower than a compiled step of float32 (docs/compress.md), whose memory a small model can spare.
        plain = dequantised(model) if model.count_parameters() <= SPARED else model
        self._compiled = Compiled.of(plain)
        self.model = plain if self._compiled else model
        self.rows: list[Growing] = []
        """The texts of the last `logits`, in their order."""
        self.pool = BlockPool(count, BLOCK_SIZE)
        self._kv = KVBlocks(config, count, dtype, model.device)
        self._waiting: list[Growing] = []
        if self._compiled:  # now, and not while a client waits
            nothing = np.zeros(1, np.int64)
            self._compiled.logits(self._kv, nothing, nothing, np.zeros((1, least), np.int32), nothing)
        self._open: list[BlockTable] = []
        """The blocks of `rows`."""
        self._tables = np.zeros((0, least), np.int32)
        """The same as an array; a row has room for a full context."""

    @property
    def active(self) -> int:
        """How many texts have not ended."""
        return len(self._waiting) + sum(not row.ended for row in self.rows)

    def has_room(self, tokens: Sequence[int], most: int) -> bool:
        """Whether a text that begins with `tokens` and will have at most `most` would be read at the next `logits`."""
        first = sum(blocks_for(max(row.most, len(row.seen)), BLOCK_SIZE) for row in self._waiting)
        return self.pool.needed(tokens, most) <= self.pool.free - first

    def add(self, row: Growing) -> None:
        """Let a text join as soon as there is room."""
        self._waiting.append(row)

    def remove(self, leaving: Callable[[Growing], bool]) -> None:
        """Let those texts leave for which `leaving` is true."""
        self._waiting = [row for row in self._waiting if not leaving(row)]
        self._keep(lambda row: not leaving(row))

    def release(self) -> None:
        """Give back the blocks of texts that have ended."""
        self._keep(lambda row: not row.ended)

    def logits(self) -> Tensor | None:
        """Read what is new of all texts, and return the logits (B, V) after each; None if there is no text."""
        slid = [row for row in self.rows if row.slid]
        self._keep(lambda row: not row.ended and not row.slid)
        for row in slid:
            row.slid = False
        self._waiting = slid + self._waiting
        made = [self._next()] if self.rows else []
        made += [self._read(part) for part in self._admitted()]
        return (torch.cat(made) if len(made) > 1 else made[0]) if made else None

    def _next(self) -> Tensor:
        """Read the last token of each text."""
        for number, (row, table) in enumerate(zip(self.rows, self._open, strict=True)):
            self.pool.extend(table, row.seen)
            self._tables[number, len(table.blocks) - 1] = table.blocks[-1]
        lengths = [len(row.seen) for row in self.rows]
        if self._compiled and self._compiled.suits([1] * len(lengths)):
            ids = np.array([row.seen[-1] for row in self.rows])
            return self._compiled.logits(
                self._kv, ids, np.array(lengths) - 1, self._tables, np.arange(len(ids), dtype=np.int64)
            )
        return self._pass(self.rows, [Part(n - 1, 1, one.blocks) for n, one in zip(lengths, self._open, strict=True)])

    def _admitted(self) -> list[list[tuple[Growing, BlockTable]]]:
        """Take those that wait and have room, in turn, and divide them into passes."""
        passes: list[list[tuple[Growing, BlockTable]]] = []
        tokens = 0
        while self._waiting:
            row = self._waiting[0]
            table = self.pool.open(row.seen, row.most)
            if table is None:
                break
            if row.cached is None:
                row.cached = table.cached
            self._waiting.pop(0)
            count = len(row.seen) - table.cached
            if not passes or tokens + count > PREFILL_TOKENS:
                passes.append([])
                tokens = 0
            passes[-1].append((row, table))
            tokens += count
        return passes

    def _read(self, admitted: Sequence[tuple[Growing, BlockTable]]) -> Tensor:
        """Read new texts, and put them beside the others. Blocks that one of them fills, another may share already."""
        rows = [row for row, _ in admitted]
        tables = np.zeros((len(rows), self._tables.shape[1]), np.int32)
        parts = []
        for own, (row, table) in zip(tables, admitted, strict=True):
            own[: len(table.blocks)] = table.blocks
            parts.append(Part(table.cached, len(row.seen) - table.cached, table.blocks))
        self.rows += rows
        self._open += [table for _, table in admitted]
        self._tables = np.concatenate([self._tables, tables])
        counts = [part.count for part in parts]
        if self._compiled is None or not self._compiled.suits(counts):
            return self._pass(rows, parts)
        ids = np.array([token for row, part in zip(rows, parts, strict=True) for token in row.seen[part.start :]])
        positions = np.concatenate([np.arange(part.start, part.start + part.count) for part in parts])
        ends = np.cumsum(counts) - 1
        return self._compiled.logits(self._kv, ids, positions, np.repeat(tables, counts, axis=0), ends)

    def _pass(self, rows: Sequence[Growing], parts: Sequence[Part]) -> Tensor:
        """Read new tokens through the network, one after the other in a single row."""
        device = self.model.device
        ids = [token for row, part in zip(rows, parts, strict=True) for token in row.seen[part.start :]]
        positions = [place for part in parts for place in range(part.start, part.start + part.count)]
        states = self.model.hidden(
            torch.tensor([ids], device=device),
            PagedPass(self._kv, parts),
            positions=torch.tensor([positions], device=device),
        )[0]
        ends = torch.tensor([part.count for part in parts]).cumsum(0) - 1
        return self.model.logits(states[ends.to(device)])

    def _keep(self, wanted: Callable[[Growing], bool]) -> None:
        """Keep only the texts that are wanted, and give back the blocks of the others."""
        places = [place for place, row in enumerate(self.rows) if wanted(row)]
        if len(places) == len(self.rows):
            return
        kept = set(places)
        for place, table in enumerate(self._open):
            if place not in kept:
                self.pool.close(table)
        self.rows = [self.rows[place] for place in places]
        self._open = [self._open[place] for place in places]
        self._tables = self._tables[places]
