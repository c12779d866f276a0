"""Which examples a step reads: each source in its share, each example once per epoch, in rows of one or packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from data_lake.tables.draws import hash_draw
from data_lake.tokens.mix import MixError, Share, Source, shares
from data_lake.tokens.order import draws_of_step, shuffled
from tasks.stage import PermanentError

if TYPE_CHECKING:
    from model.batches import Batch
    from model.chat import Example
    from tasks.training.sft.config import SftConfig

Rows = Sequence[Sequence[int]]
"""Rows of a batch: the numbers of their examples."""


class Beside(Protocol):
    """What each step reads besides its rows of instructions."""

    def examples(self, step: int) -> list[Example]:
        """Return the examples of a step, which follow from its number alone."""
        ...


@dataclass(frozen=True)
class _Part:
    """A source: its rows, and the seed of their order."""

    name: str
    rows: Rows
    seed: int

    @property
    def examples(self) -> int:
        return sum(map(len, self.rows))


class Reading:
    """The examples of a training in the order in which they are read, given the number of the step alone."""

    def __init__(
        self,
        config: SftConfig,
        examples: Mapping[str, Sequence[Example]],
        context: int,
        pad: int,
        besides: Sequence[Beside] = (),
    ) -> None:
        """examples: of each source by its name; besides: what comes after these, in rows of its own.

        Raises PermanentError if the sources do not allow enough examples.
        """
        self._config, self._pad, self._context, self._besides = config, pad, context, besides
        training = config.training
        self._examples = [one for some in examples.values() for one in some]
        self._parts, first = [], 0
        for name, some in examples.items():
            rows = self._in_rows(some)
            # seeded by name: another source beside it does not change a source's own order
            seed = training.seed if len(examples) == 1 else hash_draw(str(training.seed), name) >> 1
            self._parts.append(_Part(name, [[first + i for i in row] for row in rows], seed))
            first += len(some)
        self.rows = training.steps * training.batch_size
        self.shares = self._planned()
        self._order = None
        if len(self._parts) > 1:
            from data_lake.tokens.mix_order import MixOrder

            self._order = MixOrder([share.share for share in self.shares])

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        from model.batches import answer_batch, packed_answer_batch
        from model.neftune import seeded

        training = self._config.training
        chosen = [[self._examples[i] for i in row] for row in self._rows(draws_of_step(step, training.batch_size))]
        for beside in self._besides:
            more = beside.examples(step)
            chosen += [[more[i] for i in row] for row in self._in_rows(more)]
        if self._config.packed:
            batch = packed_answer_batch(chosen, self._pad)
        else:
            batch = answer_batch([one for row in chosen for one in row], self._pad)
        return seeded(batch, training.seed, step) if self._config.neftune else batch

    def drawn(self) -> list[dict[str, Any]]:
        """Return what the whole training reads of each source: rows, examples, epochs, and the planned share."""
        counts = [self.rows] if self._order is None else self._order.counts(self.rows).tolist()
        return [
            {
                "source": part.name, "examples": part.examples, "rows": len(part.rows), "rows_read": count,
                "epochs": count / len(part.rows) if part.rows else 0.0, "share": count / self.rows,
                "wanted": share.share, "weight": share.weight,
            }
            for part, share, count in zip(self._parts, self.shares, counts, strict=True)
        ]  # fmt: skip

    def _in_rows(self, examples: Sequence[Example]) -> list[list[int]]:
        """Return the numbers of the examples in rows: packed, or one in each."""
        if not self._config.packed:
            return [[number] for number in range(len(examples))]
        return packed(np.array([len(one.ids) - 1 for one in examples], dtype=np.int64), self._context)

    def _rows(self, draws: np.ndarray) -> list[Sequence[int]]:
        if self._order is None:
            part = self._parts[0]
            return [part.rows[i] for i in shuffled(draws, len(part.rows), part.seed)]
        sources, ordinals = self._order.draws(int(draws[0]), int(draws[-1]) + 1)
        chosen: list[Sequence[int]] = [()] * len(draws)
        for number in np.unique(sources).tolist():
            part, places = self._parts[number], np.flatnonzero(sources == number)
            for place, i in zip(places, shuffled(ordinals[places], len(part.rows), part.seed), strict=True):
                chosen[place] = part.rows[i]
        return chosen

    def _planned(self) -> list[Share]:
        """Return the shares of the rows; weights are shares of the examples, whose rows may hold several."""
        given = {source.name: source for source in self._config.sources}
        asked = [
            Source(part.name, (part.name,), given[part.name].weight, given[part.name].max_epochs)
            if part.name in given
            else Source(part.name, (part.name,))
            for part in self._parts
        ]
        numbers = [part.examples for part in self._parts]
        try:
            return shares(
                asked, numbers, numbers, seq_len=1, draws=self.rows, windows=[len(part.rows) for part in self._parts]
            )
        except MixError as error:
            raise PermanentError(
                f"The sources of sft cannot be mixed so: {self.rows:,} rows are to be read, and the sources have "
                f"{', '.join(f'{part.name} {len(part.rows):,}' for part in self._parts)}; allow more epochs "
                "(sft.sources: max_epochs), give a weight above 0, or train for fewer steps."
            ) from error


def packed(lengths: np.ndarray, context: int) -> list[list[int]]:
    """Return rows of examples of these lengths: best fit decreasing, none longer than the context, none split."""
    from data_lake.tokens.packing import best_fit

    longest_first = np.argsort(-lengths, kind="stable")
    bins = best_fit(lengths[longest_first], context)
    rows: list[list[int]] = [[] for _ in range(int(bins.max(initial=-1)) + 1)]
    for example, row in zip(longest_first.tolist(), bins.tolist(), strict=True):
        rows[row].append(example)
    return rows
