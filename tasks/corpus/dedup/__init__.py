"""dedup: documents that repeat another one are removed, each with its partner and their similarity."""

from tasks.corpus.dedup.config import DedupConfig
from tasks.corpus.dedup.stage import dedup

__all__ = ["DedupConfig", "dedup"]
