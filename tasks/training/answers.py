"""Preference pairs as tokens: those whose answers fit the context, and the batches that they make."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_lake.reading.ledger import Tally
from data_lake.tokens.order import draws_of_step, shuffled
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.training.preferences.stage import read_preferences

if TYPE_CHECKING:
    from model.batches import Batch
    from model.chat import Example
    from model.config import Training
    from model.templates import TemplateName
    from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class AnswerPair:
    """Two answers to a prompt in tokens, of which only the last answer counts; `row` is the pair's in its file."""

    row: int
    texts: Mapping[str, Any]
    chosen: Example
    rejected: Example

    @property
    def lengths(self) -> tuple[int, int]:
        """Tokens of the two answers, their end tokens included."""
        return _length(self.chosen), _length(self.rejected)

    @property
    def page(self) -> str:
        """The page that it was made of, whose pairs resemble each other; for a pair of a file, its own place."""
        place = str(self.texts["place"])
        return place.rpartition("#")[0] if "://" in place else place


def _length(one: Example) -> int:
    start, end = one.answers[-1]
    return end - start


def fitting_pairs(
    out: Output, preferences: Artifact, tokenizer: Tokenizer, context: int, template: TemplateName
) -> dict[str, list[AnswerPair]]:
    """Return the pairs by split, train and val, whose answers both fit the context, and account for all others.

    Raises PermanentError if a split is left without any.
    """
    from model.chat import example

    tally, rejected = Tally("preference pairs"), Rejected(out, "")
    kept: dict[str, list[AnswerPair]] = {"train": [], "val": []}
    for number, row in enumerate(read_preferences(preferences)):
        both = []
        for side in ("chosen", "rejected"):
            parts = (row["instruction"], row["input"], row[side], row["system"], row["history"])
            made = example(tokenizer, *parts, template)
            both.append(type(made)(made.ids, made.answers[-1:]))
        longest = max(len(one.ids) for one in both)
        n_bytes = sum(len(row[name].encode()) for name in ("instruction", "input", "system", "chosen", "rejected"))
        if longest > context + 1:
            tally.remove("longer than the context", n_bytes)
            reason = f"{longest:,} tokens, but the context has {context:,}"
            rejected.add("longer than the context", row["place"], reason, row["instruction"])
        else:
            tally.keep(n_bytes)
            kept[row["split"]].append(AnswerPair(number, row, *both))
    for split, what in (("train", "learn from"), ("val", "measure on")):
        if not kept[split]:
            raise PermanentError(
                f"No preference pair to {what} fits the model's context of {context:,} tokens: {rejected.summary()}. "
                "Shorten the texts, or take a model with a longer context."
            )
    rejected.write(out.warning)
    out.ledger(tally.ledger())
    out.count(pairs=len(kept["train"]), validation_pairs=len(kept["val"]), rejected=len(rejected.rows))
    return kept


def pair_batch(
    pairs: Sequence[AnswerPair], pad: int, facts: Mapping[str, Sequence[Any]] | None = None, *, read_end: bool = False
) -> Batch:
    """Put pairs into one batch: each chosen answer is followed by the rejected one; its loss is a mean over pairs.

    facts: by name, a number for each row. read_end: the end tokens are read too, and not only written.
    """
    from dataclasses import replace

    import torch

    from model.batches import answer_batch

    rows = [one for pair in pairs for one in (pair.chosen, pair.rejected)]
    batch = answer_batch([_with_end(one) for one in rows] if read_end else rows, pad)
    given = {name: torch.tensor(list(values), dtype=torch.float32) for name, values in (facts or {}).items()}
    return replace(batch, facts=given, count=len(pairs), group=2)


def _with_end(one: Example) -> Example:
    """Return a text of which every token is read: a batch never reads the last one, which it only predicts."""
    end = len(one.ids)
    return type(one)((*one.ids, one.ids[-1]), ((end, end + 1),))


def swapped(pairs: Sequence[AnswerPair], context: int) -> list[Example]:
    """Return for each pair another one's better answer to its prompt, cut at the end if it does not fit the context."""
    made = []
    for pair, other in zip(pairs, [*pairs[1:], *pairs[:1]], strict=True):
        start = pair.chosen.answers[-1][0]
        begin, end = other.chosen.answers[-1]
        ids = (*pair.chosen.ids[:start], *other.chosen.ids[begin:end])[: context + 1]
        made.append(type(pair.chosen)(ids, ((start, len(ids)),)))
    return made


def pairs_of_step(pairs: Sequence[AnswerPair], training: Training) -> Callable[[int], list[AnswerPair]]:
    """Return the function that chooses the pairs of a step: each comes once per epoch, reshuffled each time.

    `training.batch_size` counts pairs.
    """

    def of(step: int) -> list[AnswerPair]:
        chosen = shuffled(draws_of_step(step, training.batch_size), len(pairs), training.seed)
        return [pairs[i] for i in chosen]

    return of


def share(right: Sequence[bool]) -> tuple[float | None, float | None]:
    """Return the share of true values and its standard error; null of none, and no error of one."""
    if not right:
        return None, None
    mean = sum(right) / len(right)
    return mean, math.sqrt(mean * (1 - mean) / (len(right) - 1)) if len(right) > 1 else None
