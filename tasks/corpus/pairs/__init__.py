"""Pairs of texts, a source and the target that a model learns to write for it, read from files."""

from tasks.corpus.pairs.config import PairsConfig
from tasks.corpus.pairs.stage import pairs

__all__ = ["PairsConfig", "pairs"]
