"""The memorisation stage: how much of its training text a model repeats word for word."""

from tasks.evaluation.memorisation.config import MemorisationConfig
from tasks.evaluation.memorisation.stage import memorisation

__all__ = ["MemorisationConfig", "memorisation"]
