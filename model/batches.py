"""Training batches: token ids with targets, made from token windows or examples and prepared in advance."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.chat import Example
from model.losses import IGNORE


@dataclass(frozen=True)
class Batch:
    """Sequences of one step: `inputs` and `targets`, both int64 (B, T); targets equal to IGNORE are not counted.

    `lengths`, int64 (B), is the number of tokens in each row before its padding; None = no row is padded.
    `documents`, int64 (B, T), is the number of the document at each position of a packed row, -1 = padding; None = a
    row is one text. For an encoder-decoder, `source`, int64 (B, S), has the text that each row is made from, and
    `source_lengths` the number of its tokens. `facts` holds what an objective needs to know of each row besides, such
    as advantages or a reference's log-probabilities: tensors (B, …).

    The loss of a step is its sum divided by `count`; None = by its valid targets. `group` rows one after the other
    belong together, such as a chosen and a rejected answer, and stay in one micro-batch.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    documents: Tensor | None = None
    source: Tensor | None = None
    source_lengths: Tensor | None = None
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    count: int | None = None
    group: int = 1

    @property
    def n_valid(self) -> int:
        """Number of targets that count."""
        return int((self.targets != IGNORE).sum())

    @property
    def n_tokens(self) -> int:
        """Number of input tokens that are not padding."""
        if self.documents is not None:
            return int((self.documents >= 0).sum())
        return self.inputs.numel() if self.lengths is None else int(self.lengths.sum())

    def split(self, rows: int) -> Iterator[Batch]:
        """Yield micro-batches of at most `rows` sequences, but at least one group; 0 = all at once."""
        size = max(self.group, rows - rows % self.group) if rows else len(self.inputs)
        for start in range(0, len(self.inputs), size):
            yield self.rows(slice(start, start + size))

    def rows(self, part: slice) -> Batch:
        """Return some of the sequences."""
        return self._map(itemgetter(part))

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`; the lengths are not moved."""
        return replace(self._map(lambda tensor: tensor.to(device, non_blocking=True)), lengths=self.lengths)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **changed, facts={name: change(value) for name, value in self.facts.items()})

    @classmethod
    def of_windows(cls, windows: np.ndarray) -> Batch:
        """Make a batch from token windows (B, T + 1): every token predicts the next one."""
        ids = torch.from_numpy(windows.astype(np.int64))
        return cls(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())

    @classmethod
    def of_packed(cls, rows: np.ndarray) -> Batch:
        """Make a batch from packed rows (B, 3, T): inputs, targets, and the number of the document, -1 at padding."""
        inputs, targets, documents = (torch.from_numpy(rows[:, part].astype(np.int64)) for part in range(3))
        return cls(inputs, targets.masked_fill(documents < 0, IGNORE), documents=documents)


def answer_batch(examples: Sequence[Example], pad: int) -> Batch:
    """Put examples into one batch whose targets are the answers and their end tokens only.

    Padding is masked by length, never by its id: if the pad and end tokens share an id, a mask by id would also remove
    the end token, and the model would never learn to stop (huggingface/trl issue 1623).
    """
    lengths = torch.tensor([len(one.ids) - 1 for one in examples])
    inputs = torch.full((len(examples), int(lengths.max())), pad, dtype=torch.int64)
    targets = torch.full_like(inputs, IGNORE)
    for row, one in enumerate(examples):
        ids = torch.tensor(one.ids)
        inputs[row, : len(ids) - 1] = ids[:-1]
        for start, end in one.answers:
            targets[row, start - 1 : end - 1] = ids[start:end]
    return Batch(inputs, targets, lengths)


def packed_answer_batch(rows: Sequence[Sequence[Example]], pad: int) -> Batch:
    """Put several examples into each row, one behind the other; each sees itself alone, as in a row of its own."""
    width = max(sum(len(one.ids) - 1 for one in row) for row in rows)
    inputs = torch.full((len(rows), width), pad, dtype=torch.int64)
    targets, documents = torch.full_like(inputs, IGNORE), torch.full_like(inputs, -1)
    for number, row in enumerate(rows):
        at = 0
        for document, one in enumerate(row):
            alone = answer_batch([one], pad)
            stop = at + alone.inputs.shape[1]
            inputs[number, at:stop], targets[number, at:stop] = alone.inputs[0], alone.targets[0]
            documents[number, at:stop] = document
            at = stop
    return Batch(inputs, targets, documents=documents)


BatchOf = Callable[[int], Batch]
"""Returns the batch of a step. It depends on the step number only, so the step alone gives the position in the data."""


class Rollouts:
    """Makes batches with the model itself, at the step that needs them: nothing can be prepared before.

    `batches_of(step)` returns the batches of `phase` steps, made with the weights that the model has at the first of
    them. A checkpoint in between could not make them again, so there is none (`whole`).
    """

    def __init__(self, batches_of: Callable[[int], Sequence[Batch]], phase: int = 1) -> None:
        self._batches_of, self.phase = batches_of, phase
        self._made: Sequence[Batch] = ()
        self.waited = 0.0

    def take(self, step: int) -> Batch:
        """Return the batch of `step`; steps are taken in order, from the beginning of a phase."""
        place = step % self.phase
        if place == 0:
            began = time.perf_counter()
            self._made = self._batches_of(step)
            self.waited += time.perf_counter() - began
            if len(self._made) != self.phase:
                raise ValueError(f"A phase has {self.phase} steps, but {len(self._made)} batches were made for it.")
        return self._made[place]

    def whole(self, done: int) -> bool:
        """Whether no batch is in use after `done` steps, so that a checkpoint may be written."""
        return done % self.phase == 0

    def __enter__(self) -> Rollouts:
        return self

    def __exit__(self, *_: object) -> None:
        self._made = ()


class Prefetcher:
    """Prepares the next batch in a thread during the current step, and measures how long training waited for it."""

    def __init__(self, batch_of: BatchOf, start: int, stop: int) -> None:
        self._batch_of, self._stop = batch_of, stop
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: Future[Batch] | None = self._order(start)
        self.waited = 0.0

    def take(self, step: int) -> Batch:
        """Return the batch of `step`; steps are taken in order."""
        assert self._next is not None, "taken beyond the last step"
        began = time.perf_counter()
        batch = self._next.result()
        self.waited += time.perf_counter() - began
        self._next = self._order(step + 1)
        return batch

    def whole(self, done: int) -> bool:
        """Whether a checkpoint may be written after `done` steps: always, as batches do not depend on the model."""
        return True

    def _order(self, step: int) -> Future[Batch] | None:
        return self._pool.submit(self._batch_of, step) if step < self._stop else None

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
