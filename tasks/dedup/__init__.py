"""dedup: documents that say what another one says are taken out, each with its partner and their similarity."""

from tasks.dedup.stage import DedupConfig, dedup

__all__ = ["DedupConfig", "dedup"]
