"""Held-out text on which it is measured what a format loses: windows of tokens, and the bytes that they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.corpus.splits import documents_of

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer

Windows = Sequence[tuple[list[int], list[int]]]
"""Pairs of a context and the tokens that follow it."""


@dataclass(frozen=True)
class HeldOut:
    """Windows of held-out documents, which say each token once, and the texts that they come from."""

    windows: Windows
    n_bytes: int
    texts: tuple[str, ...]

    def bits_per_byte(self, log_likelihoods: Callable[[Windows], Sequence[float]]) -> float:
        """Return the bits per byte of whoever tells the log-likelihood of each window in nats."""
        return -math.fsum(log_likelihoods(self.windows)) / math.log(2) / self.n_bytes


def held_out(corpus: Path, tokenizer: Tokenizer, context: int, tokens: int) -> HeldOut | None:
    """Return the first `tokens` tokens of the held-out documents, those of the test split if there are any; None if
    nothing is held out.

    context: of the model; windows have a token less, as llama.cpp keeps room for one.
    """
    from model.scoring import rolling_windows

    sizes = tokenizer.token_bytes()
    for split in ("test", "val"):
        windows: list[tuple[list[int], list[int]]] = []
        texts: list[str] = []
        n_bytes, room = 0, tokens
        for document in documents_of(corpus, {split}):
            if room <= 0:
                break
            ids = tokenizer.encode(document.text)[:room]
            room -= len(ids)
            n_bytes += int(sizes[ids].sum())
            windows += rolling_windows(ids, tokenizer.bos, context - 2)
            texts.append(document.text[:2000])
        if n_bytes:
            return HeldOut(windows, n_bytes, tuple(texts))
    return None
