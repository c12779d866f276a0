"""Masked language modelling: some tokens of a text are hidden, and an encoder learns to name them (Devlin et al. 2019).

The targets stand at the hidden positions only, so the loss, the trainer and the validation are those of every training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from model.batches import Batch
from model.losses import IGNORE
from model.tokenizer import MASK, Tokenizer


@dataclass(frozen=True)
class Masking:
    """Which tokens are hidden, and what stands in their place; `Masking.of` takes the facts from a tokenizer.

    share: of the tokens (or of the words, with `whole_words`) that the model has to name. Of these, 80 % are replaced
    by `mask`, 10 % by a random ordinary token, and 10 % stay, so that every token has to be understood.
    ordinary: bool (V), true = has text, may be hidden or drawn. continues: bool (V), true = begins within a word.
    """

    share: float
    whole_words: bool
    mask: int
    ordinary: np.ndarray
    continues: np.ndarray

    @classmethod
    def of(cls, tokenizer: Tokenizer, share: float = 0.15, whole_words: bool = False) -> Masking:
        """Return the masking for a tokenizer. Raises ValueError if it has no `<|mask|>`."""
        if MASK not in tokenizer.specials:
            raise ValueError(
                f"The tokenizer has no {MASK}, which an encoder needs: set tokenizer.specials to ['{MASK}'] and learn "
                "the tokenizer again."
            )
        ordinary = tokenizer.token_bytes() > 0
        continues = np.zeros(tokenizer.vocab_size, dtype=bool)
        for token in np.flatnonzero(ordinary).tolist():
            first = tokenizer.decode_bytes([token])[:1]
            continues[token] = first.isalnum() or first >= b"\x80"
        return cls(share, whole_words, tokenizer.specials[MASK], ordinary, continues)

    def batch(self, ids: np.ndarray, rng: np.random.Generator) -> Batch:
        """Hide tokens of `ids` (B, T) and return the batch; at least one token of the batch is hidden.

        Raises ValueError if no token of `ids` has text.
        """
        ids = ids.astype(np.int64)
        candidates = self.ordinary[ids]
        if not candidates.any():
            raise ValueError("A batch of special tokens alone has nothing that could be hidden.")
        hidden = self._drawn(ids, rng) & candidates
        if not hidden.any():
            hidden.flat[rng.choice(np.flatnonzero(candidates))] = True
        fate = rng.random(ids.shape)
        inputs = np.where(hidden & (fate < 0.8), self.mask, ids)
        drawn = rng.choice(np.flatnonzero(self.ordinary), size=ids.shape)
        inputs = np.where(hidden & (fate >= 0.8) & (fate < 0.9), drawn, inputs)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(np.where(hidden, ids, IGNORE)))

    def _drawn(self, ids: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return which positions are drawn: each by itself, or all tokens of a word together."""
        chances = rng.random(ids.shape)
        if not self.whole_words:
            return chances < self.share
        begins = ~self.continues[ids]
        begins[:, 0] = True
        # the chance of a word is that of its first token
        first = np.maximum.accumulate(np.where(begins, np.arange(ids.shape[1]), 0), axis=1)
        return np.take_along_axis(chances, first, axis=1) < self.share
