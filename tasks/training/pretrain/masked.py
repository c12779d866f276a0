"""Pretraining of an encoder: which tokens of a window are hidden, and texts with gaps for people to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stage import PermanentError

if TYPE_CHECKING:
    from data_lake.tokens.loader import TokenDataset
    from data_lake.tokens.packing import PackedDataset
    from model.batches import Batch
    from model.gpt import GPT
    from model.masking import Masking
    from model.tokenizer import Tokenizer
    from tasks.training.pretrain.config import PretrainConfig, SamplesConfig


def masking_of(config: PretrainConfig, tokenizer: Tokenizer) -> Masking | None:
    """Return how tokens are hidden; None for a decoder, which hides none and predicts the next."""
    from model.masking import Masking

    if config.model.network != "encoder":
        return None
    try:
        return Masking.of(tokenizer, config.masking.share, config.masking.whole_words)
    except ValueError as error:
        raise PermanentError(str(error)) from error


def training_batch(masking: Masking, read: np.ndarray, seed: int, step: int) -> Batch:
    """Hide tokens of what a step reads, windows (B, T + 1) or packed rows (B, 3, T); the targets of a decoder are not
    needed."""
    return _hidden(masking, read, np.random.default_rng([seed, step]))


def held_out_batch(masking: Masking, held_out: TokenDataset | PackedDataset, chosen: Sequence[int]) -> Batch:
    """Return held-out rows in which always the same tokens are hidden, whatever the batch and the run."""
    import torch

    from model.batches import Batch

    rows = [_hidden(masking, held_out.batch([i]), np.random.default_rng(i)) for i in chosen]
    inputs, targets = torch.cat([row.inputs for row in rows]), torch.cat([row.targets for row in rows])
    documents = [row.documents for row in rows if row.documents is not None]
    return Batch(inputs, targets, documents=torch.cat(documents) if documents else None)


def _hidden(masking: Masking, read: np.ndarray, rng: np.random.Generator) -> Batch:
    import torch

    if read.ndim == 2:
        return masking.batch(read[:, :-1], rng)
    return replace(masking.batch(read[:, 0], rng), documents=torch.from_numpy(read[:, 2]))


def filled_gaps(
    config: SamplesConfig, model: GPT, held_out: TokenDataset | PackedDataset, tokenizer: Tokenizer, masking: Masking
) -> Iterator[dict[str, Any]]:
    """Yield held-out texts with gaps, what the model puts there, and what stood there."""
    import torch

    from model.losses import IGNORE
    from model.packed import states_of

    spread = max(1, len(held_out) // max(1, config.count))
    for i in range(0, min(len(held_out), spread * config.count), spread):
        batch = held_out_batch(masking, held_out, [i])
        with torch.inference_mode():
            states = states_of(model, batch.to(model.device))
            guessed = model.logits(states).argmax(-1).cpu()
        gaps = (batch.targets != IGNORE)[0].nonzero().flatten().tolist()
        yield {
            "text": tokenizer.decode(batch.inputs[0].tolist()),
            "gaps": " ".join(
                f"[{tokenizer.decode([int(guessed[0, gap])])}|{tokenizer.decode([int(batch.targets[0, gap])])}]"
                for gap in gaps
            ),
            "right": float((guessed[0, gaps] == batch.targets[0, gaps]).float().mean()),
        }
