"""Reinforcement learning with a value head: a token's advantage is what came beyond what had been foretold (PPO)."""

from tasks.training.ppo.config import PpoConfig
from tasks.training.ppo.stage import ppo

__all__ = ["PpoConfig", "ppo"]
