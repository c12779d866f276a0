"""A reward model: it learns from pairs of answers to score one."""

from tasks.training.reward.config import RewardConfig
from tasks.training.reward.stage import reward

__all__ = ["RewardConfig", "reward"]
