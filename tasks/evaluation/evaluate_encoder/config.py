"""The config of the evaluate_encoder stage: how many tokens are hidden, one at a time."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluation.computing import ReadingConfig


class EvaluateEncoderConfig(ReadingConfig):
    """How many tokens of the held-out documents are hidden, one at a time."""

    tokens: int = Field(
        2000,
        ge=0,
        description="tokens to hide, spread evenly over the text: each needs a forward pass of its own; 0 = all",
    )
