"""Names of what a training may learn, for configs: this file needs no torch."""

from __future__ import annotations

from typing import Literal

PreferenceLoss = Literal["dpo", "ipo", "kto", "orpo", "simpo", "cpo"]

NEEDS_REFERENCE: frozenset[str] = frozenset({"dpo", "ipo", "kto"})
"""Losses that compare with the model before training; the others need it neither in memory nor on disk."""

Pooling = Literal["last", "mean", "first"]
"""Whose state stands for the text: its last token's (decoders), the mean of all, or its first token's (encoders)."""

Trained = Literal["all", "last_block", "head"]
"""What is trained: everything; the head, the final norm and the last block; the head alone."""
