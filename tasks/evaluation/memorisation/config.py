"""The config of the memorisation stage: which passages a model is asked to continue."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluation.computing import ComputingConfig
from tasks.stage import Execution


class MemorisationConfig(ComputingConfig):
    """Which passages a model is asked to continue."""

    passages: int = Field(
        500, ge=1, description="passages of training text, drawn evenly over its tokens; as many of held-out text"
    )
    prefix: int = Field(32, ge=1, description="tokens of a passage that the model is given")
    continuation: int = Field(
        32, ge=1, description="tokens that it has to write as they stand in the text (50 and 50: Carlini et al. 2023)"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the draw")
    batch: int = Execution(64, ge=1, description="passages that are continued at once")
