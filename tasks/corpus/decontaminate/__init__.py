"""decontaminate: which benchmark items occur in the corpus, and which held-out documents occur in training."""

from tasks.corpus.decontaminate.config import DecontaminateConfig
from tasks.corpus.decontaminate.stage import decontaminate

__all__ = ["DecontaminateConfig", "decontaminate"]
