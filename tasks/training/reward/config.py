"""The config of the reward stage: what is trained of the base, the loss, and the training."""

from __future__ import annotations

from pydantic import Field

from model.adapter import Adapter
from model.config import Runtime, Training
from model.objectives import Pooling, Trained
from tasks.stage import Execution, StageConfig


class RewardConfig(StageConfig):
    """How a model learns from preference pairs to score answers."""

    pooling: Pooling = Field(
        "last", description="whose state stands for the answer: last = its end token's, mean = the mean of all tokens"
    )
    trained: Trained = Field(
        "all",
        description="all = every weight; last_block = head, final norm and last block; head = it alone",
    )
    margins: bool = Field(
        False,
        description="a pair's margin is by how much the better answer should score higher; false = ignored",
    )
    centering: float = Field(
        0.01, ge=0, description="weight of the squared sum of a pair's rewards, which keeps them around 0; 0 = none"
    )
    training: Training = Field(
        Training(steps=150, batch_size=16, learning_rate=1e-4, weight_decay=0.0),
        description="optimizer, schedule, length and batch of the training; a sequence of the batch is a pair",
    )
    adapter: Adapter | None = Field(
        None, description="low-rank adapter (LoRA) that is trained besides the head; null = as `trained` says"
    )
    samples: int = Field(8, ge=0, description="held-out pairs shown with their rewards")
    runtime: Runtime = Execution(
        Runtime(), description="hardware, micro-batches and intervals; they never enter the key"
    )
