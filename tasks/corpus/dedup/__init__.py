"""dedup: removes documents that repeat another one, and records each with its partner and their similarity."""

from tasks.corpus.dedup.config import DedupConfig
from tasks.corpus.dedup.stage import dedup

__all__ = ["DedupConfig", "dedup"]
