"""dedup: documents that say what another one says are taken out, each with its partner and their similarity."""

from tasks.dedup.config import DedupConfig
from tasks.dedup.stage import dedup

__all__ = ["DedupConfig", "dedup"]
