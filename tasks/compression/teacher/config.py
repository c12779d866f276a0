"""The config of the teacher stage: of which text, and how much of the distribution is kept."""

from __future__ import annotations

from pydantic import Field

from tasks.evaluation.computing import ComputingConfig
from tasks.stage import Execution


class TeacherConfig(ComputingConfig):
    """What is kept of a teacher."""

    top: int = Field(16, ge=1, description="tokens kept at each place, the likeliest; all others are one rest")
    temperature: float = Field(
        1.0, gt=0, description="the teacher's logits are divided by it, and the student's too; more = softer"
    )
    windows: int | None = Field(
        None, ge=1, description="windows of training text that are read, drawn evenly; null = all of them"
    )
    seq_len: int | None = Field(None, ge=1, description="tokens of a window; null = the student's context")
    batch: int = Execution(16, ge=1, description="windows that are read at once")
