"""Reinforcement learning without a value network: answers are compared with others to the same prompt."""

from tasks.training.grpo.config import GrpoConfig
from tasks.training.grpo.stage import grpo

__all__ = ["GrpoConfig", "grpo"]
