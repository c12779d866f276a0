"""Packing: whole documents laid into rows of a fixed length, so that none is cropped and little is padding.

Training on joined windows cuts documents wherever a window ends. Here a document stays in one piece; only one that is
longer than a row is split, into consecutive full rows and a rest. Best-fit decreasing then puts each rest into the
fullest row that still has room for it, the longest first (Ding et al. 2024, "Fewer Truncations Improve Language
Modeling"). The whole index is packed at once, from the lengths alone and before a token is read, so row i is the same
in every epoch, run and process, and a step's rows are found from its number.

Every token of a document is the input of exactly one position. Its target is the document's next token, and at the
document's end the tokenizer's end token, never the start of what happens to lie behind it.

Importing this module imports numba: 10 million documents of 830 tokens on average are packed
into rows of 2,048 in 4.1 s, with 0.001 % of the positions left as padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_lake.text.compiled import compiled
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.order import draws_of_step, shuffled

NO_DOCUMENT = -1
"""The document number of a position that holds padding."""


class PackedDataset:
    """Documents of one split as numbered rows of `seq_len` positions, each document visible to itself alone.

    A row is int64[3, seq_len]: the inputs, their targets, and the number of the document at each position, counted from
    0 in each row. Behind the last document the inputs are the pad token, and the other two are -1.
    """

    def __init__(self, data: TokenDataset, first_token: np.ndarray, n_tokens: np.ndarray, *, end: int) -> None:
        """first_token, n_tokens: where the documents lie in the split's stream, int64.

        end: the token that is the target at the end of a document.
        """
        self._data = data
        self.seq_len = data.seq_len
        self.split = data.split
        self._end = end
        self._first, self._length, self._ends, self._rows = _layout(first_token, n_tokens, self.seq_len)
        self.n_tokens = int(self._length.sum())

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return (3, self.seq_len)

    @property
    def dtype(self) -> np.dtype:
        """The type of a row's numbers."""
        return np.dtype(np.int64)

    @property
    def padding(self) -> int:
        """Positions of all rows that hold no token."""
        return len(self) * self.seq_len - self.n_tokens

    def __len__(self) -> int:
        """Return how many rows the documents fill."""
        return len(self._rows) - 1

    def row(self, i: int) -> np.ndarray:
        """Return row i: int64[3, seq_len]."""
        if not 0 <= i < len(self):
            raise IndexError(f"Row {i} is outside the {len(self)} rows of split {self.split!r}.")
        return self.batch([i])[0]

    def batch(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return rows as one array: int64[len(rows), 3, seq_len]."""
        out = np.empty((len(rows), *self.row_shape), dtype=self.dtype)
        out[:, 0], out[:, 1:] = self._data.pad, NO_DOCUMENT
        for (inputs, targets, documents), i in zip(out, rows, strict=True):
            at = 0
            for document, piece in enumerate(range(self._rows[i], self._rows[i + 1])):
                first, length, ends = int(self._first[piece]), int(self._length[piece]), bool(self._ends[piece])
                ids = self._data.tokens(first, first + length + (not ends))
                stop = at + length
                inputs[at:stop] = ids[:length]
                targets[at : stop - ends] = ids[1:]
                if ends:
                    targets[stop - 1] = self._end
                documents[at:stop] = document
                at = stop
        return out

    def indices(self, step: int, batch: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> np.ndarray:
        """Return the row numbers that a rank reads in a training step, int64: each row once per epoch, reshuffled each
        time, as `TokenDataset.indices` does with windows."""
        if not len(self):
            raise ValueError(f"Split {self.split!r} has no documents to pack; give it more text.")
        return shuffled(draws_of_step(step, batch, rank, world_size), len(self), seed)

    def tokens_in(self, draws: int, seed: int) -> int:
        """Return how many tokens the first `draws` rows of a run hold, each as often as it is read."""
        epochs, more = divmod(draws, len(self)) if len(self) else (0, 0)
        rows = shuffled(np.arange(draws - more, draws), len(self), seed) if more else np.empty(0, np.int64)
        before = np.concatenate([[0], np.cumsum(self._length, dtype=np.int64)])
        return epochs * self.n_tokens + int((before[self._rows[rows + 1]] - before[self._rows[rows]]).sum())


def count_rows(n_tokens: np.ndarray, seq_len: int) -> int:
    """Return how many rows documents of these lengths fill."""
    whole, rest = np.divmod(n_tokens.astype(np.int64), seq_len)
    rests = np.sort(rest[rest > 0])[::-1]
    return int(whole.sum()) + int(best_fit(rests, seq_len).max(initial=-1) + 1)


def _layout(
    first_token: np.ndarray, n_tokens: np.ndarray, seq_len: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the pieces in the order of the rows: first token, length, whether the document ends there; and the number
    of the piece that each row begins with, followed by the number of pieces."""
    whole, rest = np.divmod(n_tokens.astype(np.int64), seq_len)
    first = first_token.astype(np.int64)
    # rows that one document fills
    filled = np.repeat(np.arange(len(whole)), whole)
    part = np.arange(len(filled)) - np.repeat(np.cumsum(whole) - whole, whole)
    ends = (part + 1 == whole[filled]) & (rest[filled] == 0)
    # rows that rests share; the order is stable, so that documents of one length keep theirs
    shared = np.flatnonzero(rest)
    shared = shared[np.argsort(-rest[shared], kind="stable")]
    bins = best_fit(rest[shared], seq_len)
    by_bin = np.argsort(bins, kind="stable")
    shared, bins = shared[by_bin], bins[by_bin]
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    return (
        np.concatenate([first[filled] + part * seq_len, first[shared] + whole[shared] * seq_len]),
        np.concatenate([np.full(len(filled), seq_len, np.int32), rest[shared].astype(np.int32)]),
        np.concatenate([ends, np.ones(len(shared), dtype=bool)]),
        np.concatenate([np.arange(len(filled)), len(filled) + starts, [len(filled) + len(shared)]]).astype(np.int64),
    )


@compiled
def best_fit(lengths: np.ndarray, capacity: int) -> np.ndarray:
    """Return the bin of each length (1 … capacity, longest first): the fullest one with room, else a new one; int64.

    Bins with the same room are a stack, and a tree over all possible rooms says where the smallest one is that
    suffices, so a length costs log2(capacity) steps whatever the number of bins.
    """
    leaves = 1
    while leaves < capacity + 1:
        leaves *= 2
    some = np.zeros(2 * leaves, dtype=np.bool_)  # some[leaves + r]: there is a bin with room r; above it, either child
    top = np.full(leaves, -1, dtype=np.int64)  # the bin on top of the stack of each room
    below = np.full(len(lengths), -1, dtype=np.int64)  # what lies under a bin in its stack
    bins = np.empty(len(lengths), dtype=np.int64)
    count = 0
    for i in range(len(lengths)):
        node = leaves + lengths[i]
        while node > 1 and not some[node]:  # up, until there is something at this length or to the right of it
            while node > 1 and node % 2 == 1:
                node //= 2
            if node > 1:
                node += 1
        if node > 1:
            while node < leaves:
                node = 2 * node if some[2 * node] else 2 * node + 1
            room = node - leaves
            chosen = top[room]
            top[room] = below[chosen]
            if top[room] < 0:
                _mark(some, node, False)
        else:
            room = capacity
            chosen = count
            count += 1
        bins[i] = chosen
        room -= lengths[i]
        if room > 0:
            below[chosen] = top[room]
            top[room] = chosen
            _mark(some, leaves + room, True)
    return bins


@compiled
def _mark(some, node, value):  # type: ignore[no-untyped-def]
    """Set a leaf of the tree and bring the nodes above it in line."""
    some[node] = value
    while node > 1:
        node //= 2
        some[node] = some[2 * node] or some[2 * node + 1]
