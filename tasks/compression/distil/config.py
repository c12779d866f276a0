"""The config of the distil stage: the student's shape, what it learns from the teacher, and its training."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from model.config import Runtime, Training
from model.shape import GPTShape
from tasks.stage import Execution, StageConfig


class DistilConfig(StageConfig):
    """Which student learns from the model before sft, and how."""

    model: GPTShape = Field(
        GPTShape(n_layer=4, n_head=4, n_kv_head=4, d_model=128, d_ff=384), description="shape of the student"
    )
    divergence: Literal["forward", "reverse", "symmetric"] = Field(
        "forward",
        description="Kullback-Leibler divergence that is made small: forward = the student covers all that the teacher "
        "says; reverse = it says only what the teacher does; symmetric = the mean of both",
    )
    soft: float = Field(
        0.5,
        gt=0,
        le=1,
        description="weight of that divergence, times temperature²; the rest is that of the text",
    )
    training: Training = Field(
        Training(steps=1000, batch_size=8), description="optimizer, schedule, length and batch of the training"
    )
    runtime: Runtime = Execution(
        Runtime(), description="hardware, micro-batches and intervals; they never enter the key"
    )

    @model_validator(mode="after")
    def _is_a_decoder(self) -> Self:
        if self.model.network != "decoder":
            raise ValueError(f"a student continues texts; model.network must be decoder, not {self.model.network}")
        return self
