"""The config of the seq2seq stage: the model's shape, its training, and what is written and measured afterwards."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from model.config import Runtime, Training
from model.shape import GPTShape
from tasks.stage import Execution, StageConfig


class Seq2SeqConfig(StageConfig):
    """Which encoder-decoder learns from the pairs, and how."""

    model: GPTShape = Field(GPTShape(preset="demo-encoder-decoder"), description="shape of the network")
    max_source_tokens: int | None = Field(
        None, ge=2, description="longest source in tokens, with its end; null = the context, model.max_seq_len"
    )
    max_target_tokens: int | None = Field(
        None,
        ge=2,
        description="longest target in tokens, its end included; null = the context. Longer pairs are left out",
    )
    long_sources: Literal["drop", "cut"] = Field(
        "drop", description="drop = leave out pairs whose source is too long; cut = learn from the source's beginning"
    )
    training: Training = Field(
        Training(steps=1500, batch_size=32, learning_rate=1e-3),
        description="optimizer, schedule, length and batch of the training; a sequence is a pair",
    )
    measured_pairs: int = Field(
        500, ge=0, description="held-out pairs whose sources the finished model reads, for exact match and chrF"
    )
    samples: int = Field(8, ge=0, description="of these, pairs shown in a table")
    runtime: Runtime = Execution(
        Runtime(), description="hardware, micro-batches and intervals; they never enter the key"
    )

    @property
    def limits(self) -> tuple[int, int]:
        """The largest numbers of tokens of a source and of a target, their ends included."""
        context = self.model.max_seq_len
        return self.max_source_tokens or context, self.max_target_tokens or context

    @model_validator(mode="after")
    def _reads_a_source(self) -> Self:
        if self.model.network != "encoder-decoder":
            raise ValueError(
                f"a network of kind {self.model.network} reads no source; set model.network to encoder-decoder"
            )
        for name, limit in zip(("max_source_tokens", "max_target_tokens"), self.limits, strict=True):
            if limit > self.model.max_seq_len:
                raise ValueError(f"{name} {limit} is beyond the context, model.max_seq_len {self.model.max_seq_len}")
        return self
