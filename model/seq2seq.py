"""Sequence to sequence: pairs of texts as batches for an encoder-decoder, and the texts that it writes for sources.

    source: text <|eos|>          target: <|bos|> text <|eos|>

The decoder reads the target up to each token and all of the encoded source, and learns the next token (Sutskever et al.
2014; Vaswani et al. 2017). `<|eos|>` at the end of a source tells a whole text from a cut one, and no source is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.batches import Batch
from model.generate import Generation, generate_batch
from model.gpt import GPT
from model.losses import IGNORE
from model.tokenizer import Tokenizer


@dataclass(frozen=True)
class PairIds:
    """A pair as tokens, with the special ones; the decoder is given `target[:-1]` and learns `target[1:]`."""

    source: tuple[int, ...]
    target: tuple[int, ...]


def pair_ids(tokenizer: Tokenizer, source: str, target: str) -> PairIds:
    """Return the tokens of a pair."""
    return PairIds(
        (*tokenizer.encode(source), tokenizer.eos),
        (tokenizer.bos, *tokenizer.encode(target), tokenizer.eos),
    )


def pair_batch(pairs: Sequence[PairIds], pad: int) -> Batch:
    """Put pairs into one batch. All tokens of a target count, its end too; padding is known by length, not by id."""
    inputs, lengths = _padded([pair.target[:-1] for pair in pairs], pad)
    targets, _ = _padded([pair.target[1:] for pair in pairs], IGNORE)
    source, source_lengths = _padded([pair.source for pair in pairs], pad)
    return Batch(inputs, targets, lengths, source=source, source_lengths=source_lengths)


def _padded(rows: Sequence[Sequence[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows of different lengths as int64 (B, longest), and their lengths (B)."""
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.full((len(rows), int(lengths.max())), filler, dtype=torch.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = torch.tensor(row)
    return padded, lengths


def write_targets(
    model: GPT, sources: Sequence[Sequence[int]], max_new_tokens: int, bos: int, eos: int
) -> list[Generation]:
    """Return what the model writes for each source, greedily: the most likely token each time.

    sources: as `PairIds.source`. Each text grows until its end token, `max_new_tokens`, or the end of the context.
    """
    return generate_batch(model, [[bos]] * len(sources), max_new_tokens, stop={eos}, sources=sources)
