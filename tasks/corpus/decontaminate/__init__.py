"""decontaminate: finds benchmark items in the corpus, and held-out documents whose text occurs in training."""

from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.stage import decontaminate

__all__ = ["DecontaminateConfig", "decontaminate"]
