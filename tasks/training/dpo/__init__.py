"""Learning from preferences directly: dpo, ipo, kto, orpo, simpo and cpo."""

from tasks.training.dpo.config import DpoConfig
from tasks.training.dpo.stage import dpo

__all__ = ["DpoConfig", "dpo"]
