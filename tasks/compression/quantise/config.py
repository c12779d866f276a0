"""The config of the quantise stage: which models, in how many bits, and how much they may lose."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from model.quantisation import Quantisation
from tasks.stage import Execution, StageConfig


class QuantiseConfig(StageConfig, Quantisation):
    """How the weights of models are stored in few bits."""

    of: tuple[str, ...] = Execution(
        (),
        description="stages of the recipe whose models are quantised, such as sft or distil; none = the last that is "
        "no student",
    )
    method: Literal["nearest", "gptq"] = Field(
        "nearest",
        description="nearest = each weight by itself; gptq = so that products stay the same on training text",
    )
    calibration_tokens: int = Field(32_768, ge=1, description="gptq: tokens of training text that are read")
    measured_tokens: int = Field(
        65_536, ge=1, description="tokens of held-out text on which the model before and after is measured"
    )
    max_loss: float | None = Field(
        0.02,
        description="largest loss in bits per byte of held-out text with which the stage succeeds; null = any",
    )
    samples: int = Field(4, ge=0, description="held-out texts that the model continues before and after")
    sample_tokens: int = Field(48, ge=1, description="tokens of each continuation")
    threads: int = Execution(0, ge=0, le=1024, description="CPU threads; 0 = one per usable core, at most 8")

    @property
    def form(self) -> Quantisation:
        """In how many bits weights are stored."""
        return Quantisation(bits=self.bits, group=self.group, symmetric=self.symmetric)

    @model_validator(mode="after")
    def _calibrates_only_with_gptq(self) -> Self:
        if (
            self.method == "nearest"
            and self.calibration_tokens != type(self).model_fields["calibration_tokens"].default
        ):
            raise ValueError("calibration_tokens means nothing for the method nearest; leave it out")
        return self
