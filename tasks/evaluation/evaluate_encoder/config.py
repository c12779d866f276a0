"""The config of the evaluate_encoder stage: how many tokens are hidden, one at a time."""

from __future__ import annotations

from pydantic import Field

from tasks.stage import Execution, StageConfig


class EvaluateEncoderConfig(StageConfig):
    """How many tokens of the held-out documents are hidden, one at a time."""

    tokens: int = Field(
        2000,
        ge=0,
        description="tokens to hide, spread evenly over the text: each needs a forward pass of its own; 0 = all",
    )
    device: str = Execution("auto", description="auto = cuda where there is one, else cpu; or a torch device name")
    threads: int = Execution(0, ge=0, le=1024, description="CPU threads; 0 = one per usable core, at most 8")
    batch_tokens: int = Execution(8192, ge=1, description="tokens read in one forward pass")
