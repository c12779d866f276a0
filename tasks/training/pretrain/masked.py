"""Pretraining of an encoder: which tokens of a window are hidden, and texts with gaps for people to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.stage import PermanentError

if TYPE_CHECKING:
    from data_lake.tokens.loader import TokenDataset
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


def training_batch(masking: Masking, windows: np.ndarray, seed: int, step: int) -> Batch:
    """Hide tokens of the windows (B, T + 1) of a step; their last token, the target of a decoder, is not needed."""
    return masking.batch(windows[:, :-1], np.random.default_rng([seed, step]))


def held_out_batch(masking: Masking, held_out: TokenDataset, chosen: Sequence[int]) -> Batch:
    """Return held-out windows in which always the same tokens are hidden, whatever the batch and the run."""
    from model.batches import Batch

    rows = [masking.batch(held_out.window(i)[None, :-1], np.random.default_rng(i)) for i in chosen]
    return Batch(_stacked([row.inputs for row in rows]), _stacked([row.targets for row in rows]))


def filled_gaps(
    config: SamplesConfig, model: GPT, held_out: TokenDataset, tokenizer: Tokenizer, masking: Masking
) -> Iterator[dict[str, Any]]:
    """Yield held-out texts with gaps, what the model puts there, and what stood there."""
    import torch

    from model.losses import IGNORE

    spread = max(1, len(held_out) // max(1, config.count))
    for i in range(0, min(len(held_out), spread * config.count), spread):
        batch = held_out_batch(masking, held_out, [i])
        with torch.inference_mode():
            guessed = model(batch.inputs.to(model.device)).argmax(-1).cpu()
        gaps = (batch.targets != IGNORE)[0].nonzero().flatten().tolist()
        yield {
            "text": tokenizer.decode(batch.inputs[0].tolist()),
            "gaps": " ".join(
                f"[{tokenizer.decode([int(guessed[0, gap])])}|{tokenizer.decode([int(batch.targets[0, gap])])}]"
                for gap in gaps
            ),
            "right": float((guessed[0, gaps] == batch.targets[0, gaps]).float().mean()),
        }


def _stacked(rows: list[Any]) -> Any:
    import torch

    return torch.cat(rows)
