"""The config of the grpo stage: which tasks the model tries, and how it learns from what its answers are worth."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.training.reinforcement.config import ReinforcementConfig


class GrpoConfig(ReinforcementConfig):
    """Which tasks the model tries, and how it learns from what its answers are worth."""

    loss: Literal["grpo", "dr_grpo", "dapo"] = Field(
        "dapo", description="how tokens are weighed: grpo = each answer alike; dr_grpo = each token by 1 / max_tokens, "
        "advantages not divided by their deviation; dapo = each token of the step alike"
    )  # fmt: skip
    group: int = Field(8, ge=2, description="answers drawn to each prompt, which are compared with each other")
    clip_high: float | None = Field(
        None, gt=0, description="the same as `clip` for tokens that become likelier (DAPO: 0.28); null = clip"
    )
    kl_weight: float = Field(0.04, ge=0, description="weight of the KL to the base in the loss; 0 = only reported")

    @model_validator(mode="after")
    def _groups_fill_a_step(self) -> Self:
        if self.training.batch_size % self.group:
            raise ValueError(
                f"a step has {self.training.batch_size} answers (training.batch_size), which is no multiple of the "
                f"{self.group} answers to each prompt (group)"
            )
        return self
