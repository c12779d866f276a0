"""The config of the dpo stage: the loss over preference pairs, and the training."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from model.adapter import Adapter
from model.config import Runtime, Training
from model.objectives import NEEDS_REFERENCE, PreferenceLoss
from tasks.stage import Execution, StageConfig


class DpoConfig(StageConfig):
    """How a model learns to prefer the better answers."""

    loss: PreferenceLoss = Field(
        "dpo", description="dpo, ipo and kto hold against the model before; orpo, simpo and cpo need no such reference"
    )
    beta: float = Field(
        0.1,
        gt=0,
        description="strength of the preference: of the KL in dpo, of the odds in orpo",
    )
    margin: float = Field(0.5, ge=0, description="by how much the better answer has to win, for simpo")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="share of pairs that may be the wrong way round, for dpo, simpo and cpo"
    )
    max_drop: float | None = Field(
        3.0,
        gt=0,
        description="largest fall of the better answers' log-probability, in nats per token on held-out pairs, before "
        "the training ends with an error; null = none",
    )
    training: Training = Field(
        Training(steps=100, batch_size=16, learning_rate=5e-6, weight_decay=0.0),
        description="optimizer, schedule, length and batch of the training; a sequence of the batch is a pair",
    )
    adapter: Adapter | None = Field(
        None, description="low-rank adapter (LoRA) that is trained instead of all weights; null = all weights"
    )
    samples: int = Field(8, ge=0, description="held-out prompts that the model answers before and after")
    sample_tokens: int = Field(64, ge=1, description="largest number of tokens of such an answer")
    runtime: Runtime = Execution(
        Runtime(), description="hardware, micro-batches and intervals; they never enter the key"
    )

    @property
    def needs_reference(self) -> bool:
        """Whether the loss holds against the model before."""
        return self.loss in NEEDS_REFERENCE

    @model_validator(mode="after")
    def _smooths_only_some(self) -> Self:
        if self.label_smoothing and self.loss not in ("dpo", "simpo", "cpo"):
            raise ValueError(f"label_smoothing means nothing for {self.loss}; leave it out")
        return self
