"""Blocks of a KV cache: which are free, which belong to texts, and which hold a beginning that may come again.

The names are vLLM's (Kwon et al. 2023, and its automatic prefix caching): a text's block table lists its blocks; full
blocks are found again by a hash of their tokens and of all tokens before them; those that no text uses are evicted
least recently used first.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field


def blocks_for(tokens: int, size: int) -> int:
    """Return how many blocks of `size` tokens so many tokens take."""
    return -(-tokens // size)


@dataclass(eq=False)
class BlockTable:
    """The blocks of one text: block i holds the tokens from i × block size on."""

    blocks: list[int] = field(default_factory=list)
    cached: int = 0
    """Tokens at the beginning that were in the cache when the text came."""
    most: int = 0
    """Blocks that the text has at its longest."""
    hashed: int = 0
    """Full blocks that others can find."""
    digest: bytes = b""
    """The hash of the last of them."""


class BlockPool:
    """`count` blocks of `size` tokens each, for texts that come and go. Not for use by several threads at once."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size
        self._used = [0] * count
        """How many texts use each block."""
        self._idle: OrderedDict[int, None] = OrderedDict.fromkeys(range(count))
        """Blocks that no text uses: empty ones first, then the least recently used."""
        self._promised = 0
        """Blocks that the texts have not yet taken, but may still need."""
        self._digests: list[bytes] = [b""] * count
        self._found: dict[bytes, int] = {}

    @property
    def free(self) -> int:
        """Blocks that a new text may take: those that nobody uses and nobody was promised."""
        return len(self._idle) - self._promised

    def needed(self, tokens: Sequence[int], most: int) -> int:
        """Return how many free blocks a text takes that begins with `tokens` and will have at most `most`."""
        return self._needed(self._begun(tokens, most))

    def open(self, tokens: Sequence[int], most: int) -> BlockTable | None:
        """Return blocks for a text that begins with `tokens` and will have at most `most`; None if there is no room.

        What the cache has of its beginning is shared, but for the last token, whose states are asked for. The blocks up
        to `most` are promised, so that a text that has begun never waits for one. The caller reads the other tokens
        before anyone else reads what these blocks hold.
        """
        table = self._begun(tokens, most)
        if self._needed(table) > self.free:
            return None
        for block in table.blocks:
            self._used[block] += 1
            self._idle.pop(block, None)
        table.hashed = len(table.blocks)
        table.cached = table.hashed * self.size
        self._promised += table.most - len(table.blocks)
        self.extend(table, tokens)
        return table

    def extend(self, table: BlockTable, tokens: Sequence[int]) -> None:
        """Give a text the blocks that it needs for all of its `tokens`, and let others find the full ones.

        As with `open`, the caller reads the tokens next.
        """
        while len(table.blocks) * self.size < len(tokens):
            table.blocks.append(self._take())
        start = table.hashed * self.size
        if len(tokens) - start < self.size:
            return
        for digest in self._chain(tokens[start:], table.digest):
            block = table.blocks[table.hashed]
            if digest not in self._found:  # else an equal block, of a text that grew beside this one, is found
                self._found[digest] = block
                self._digests[block] = digest
            table.hashed += 1
            table.digest = digest

    def close(self, table: BlockTable) -> None:
        """Take back the blocks of a text; its full ones stay in the cache until their room is needed."""
        self._promised -= table.most - len(table.blocks)
        for block in reversed(table.blocks):  # the end of a text is needed again less often than its beginning
            self._used[block] -= 1
            if not self._used[block]:
                self._idle[block] = None
                if not self._digests[block]:
                    self._idle.move_to_end(block, last=False)
        table.blocks, table.most = [], 0

    def _begun(self, tokens: Sequence[int], most: int) -> BlockTable:
        table = BlockTable(most=blocks_for(max(most, len(tokens)), self.size))
        for digest in self._chain(tokens[: len(tokens) - 1], b""):
            block = self._found.get(digest)
            if block is None:
                break
            table.blocks.append(block)
            table.digest = digest
        return table

    def _needed(self, table: BlockTable) -> int:
        return table.most - sum(self._used[block] > 0 for block in table.blocks)

    def _take(self) -> int:
        block, _ = self._idle.popitem(last=False)
        self._promised -= 1
        self._used[block] = 1
        if digest := self._digests[block]:
            del self._found[digest]
            self._digests[block] = b""
        return block

    def _chain(self, tokens: Sequence[int], digest: bytes) -> list[bytes]:
        """Return the hashes of the full blocks of `tokens`, each of the block and of all before it."""
        made = []
        for start in range(0, len(tokens) - self.size + 1, self.size):
            block = array("q", tokens[start : start + self.size]).tobytes()
            digest = hashlib.blake2b(digest + block, digest_size=16).digest()
            made.append(digest)
        return made
