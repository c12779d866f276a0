"""The config of the reference stage: where it computes."""

from __future__ import annotations

from tasks.stage import Execution, StageConfig


class ReferenceConfig(StageConfig):
    """How the reference's log-probabilities are computed; the result does not depend on it."""

    device: str = Execution("auto", description="auto, cpu, cuda or mps")
    batch: int = Execution(32, ge=1, description="answers that are read at once")
