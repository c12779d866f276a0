"""How well a model answers held-out questions, one by one, so that before and after can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data_lake.store.gain import Gain
from tasks.stage.gains import paired

if TYPE_CHECKING:
    from model.chat import Example
    from model.gpt import GPT

READ_AT_ONCE = 16  # answers whose log-probabilities are computed together
MOST = 256  # answers; a difference in nats per token shows in few


@dataclass(frozen=True)
class Measured:
    """A measure of each question: nats of its answer, whose tokens are `sizes`, or 1 where it is right and 0 elsewhere.

    numbers: metrics of all questions together, by name.
    """

    measure: str
    values: Sequence[float]
    sizes: Sequence[int] | None = None
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    def gain_over(self, before: Measured) -> Gain | None:
        """Return what was gained since `before`; None if there are no questions."""
        if not self.values:
            return None
        nats = self.sizes is not None
        return paired(self.measure, "before", before.values, self.values, sizes=self.sizes, less_is_better=nats)


def nats_of_answers(model: GPT, held_out: Sequence[Example], pad: int) -> Measured:
    """Return how unlikely the model finds the answers of some held-out pairs, their end tokens included."""
    from model.batches import answer_batch
    from model.log_probs import answer_log_probs

    some = held_out[:MOST]
    nats: list[float] = []
    for start in range(0, len(some), READ_AT_ONCE):
        batch = answer_batch(some[start : start + READ_AT_ONCE], pad).to(model.device)
        nats += [-one for one in answer_log_probs(model, batch).tolist()]
    sizes = [sum(end - begin for begin, end in one.answers) for one in some]
    return Measured("nats per token of an answer (less is better)", nats, sizes)
