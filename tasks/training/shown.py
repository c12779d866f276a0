"""Batches as text for people: what a step reads, document by document, and what it learns from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from model.batches import Batch
    from model.tokenizer import Tokenizer


class Piece(NamedTuple):
    """Part of a text: "text" as it was written, the name of a "special" token, or a note about what is "unlearned"."""

    kind: str
    text: str


def shown_rows(batch: Batch, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return each row of a batch: its tokens, its padding, and its documents in order.

    A document has `start` (its first position), `input_ids` and `target_ids` (null = not learned), and both as pieces:
    `input` and `target`, which stand side by side: the target of a position is what the model has to name there. For an
    encoder-decoder, `source` and `source_ids` are the text that it is made from.
    """
    from model.losses import IGNORE

    rows = []
    for number, (inputs, targets) in enumerate(zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)):
        documents = []
        for start, stop in _documents(batch, number, tokenizer):
            goals = [None if target == IGNORE else target for target in targets[start:stop]]
            documents.append(
                {
                    "start": start,
                    "input": list(pieces(inputs[start:stop], tokenizer)),
                    "target": list(pieces(goals, tokenizer)),
                    "input_ids": inputs[start:stop],
                    "target_ids": goals,
                }
            )
            if batch.source is not None:
                assert batch.source_lengths is not None
                read = batch.source[number, : int(batch.source_lengths[number])].tolist()
                documents[-1] = {"source": list(pieces(read, tokenizer)), "source_ids": read, **documents[-1]}
        tokens = sum(len(document["input_ids"]) for document in documents)
        rows.append({"row": number, "tokens": tokens, "padding": len(inputs) - tokens, "documents": documents})
    return rows


def pieces(ids: Sequence[int | None], tokenizer: Tokenizer) -> Iterator[Piece]:
    r"""Yield ids as text. Letters of a text that spell a special token begin with \, so that nothing is mistaken."""
    names = {token: name for name, token in tokenizer.specials.items()}

    def kind_of(token: int | None) -> str:
        return "unlearned" if token is None else "special" if token in names else "text"

    for kind, group in itertools.groupby(ids, kind_of):
        run = list(group)
        if kind == "unlearned":
            yield Piece(kind, f"[{len(run):,} not learned]")
        elif kind == "special":
            yield from (Piece(kind, names[token]) for token in run if token is not None)
        else:
            text = tokenizer.decode([token for token in run if token is not None])
            for name in names.values():
                text = text.replace(name, f"\\{name}")
            yield Piece(kind, text)


def _documents(batch: Batch, row: int, tokenizer: Tokenizer) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position + 1 of each document of a row, without padding."""
    length = batch.inputs.shape[1] if batch.lengths is None else int(batch.lengths[row])
    if batch.documents is not None:
        numbers = batch.documents[row].tolist()
    else:  # in a joined window, a document begins with its BOS
        numbers = list(itertools.accumulate(int(token == tokenizer.bos) for token in batch.inputs[row].tolist()))
    for number, group in itertools.groupby(range(length), numbers.__getitem__):
        places = list(group)
        if number >= 0:
            yield places[0], places[-1] + 1
