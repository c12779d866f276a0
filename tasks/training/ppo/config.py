"""The config of the ppo stage: which tasks the model tries, and how values and rewards become a loss."""

from __future__ import annotations

from pydantic import Field

from model.config import Training
from tasks.training.reinforcement.config import ReinforcementConfig


class PpoConfig(ReinforcementConfig):
    """Which tasks the model tries, and how values and rewards become a loss. One answer is drawn to each prompt."""

    reuse: int = Field(4, ge=1, description="optimizer steps on the same answers, before new ones are drawn")
    kl_weight: float = Field(
        0.05, ge=0, description="each token's reward loses so much per nat that it is likelier than in the base"
    )
    gamma: float = Field(1.0, gt=0, le=1, description="what a reward is worth one token earlier, as a share")
    gae_decay: float = Field(
        0.95, ge=0, le=1, description="λ of the advantages: 1 = all that really followed, 0 = one token, then the value"
    )
    value_weight: float = Field(0.1, gt=0, description="weight of the values' loss beside that of the tokens")
    value_clip: float = Field(0.2, gt=0, description="largest change of a value that pays, in units of the reward")
    training: Training = Field(
        Training(
            steps=100, batch_size=64, learning_rate=1e-5, head_learning_rate=1e-3, weight_decay=0.0,
            schedule="constant", warmup=0.0,
        ),
        description="optimizer and schedule; batch_size counts answers, head_learning_rate is that of the value head",
    )  # fmt: skip
