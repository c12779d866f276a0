"""decontaminate: what of the benchmarks stands in the corpus, and what of the held-out documents in training."""

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.stage import decontaminate

__all__ = ["DecontaminateConfig", "decontaminate"]
