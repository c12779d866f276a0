"""The index stage: the passages of the corpus, and by which words each is found."""

from tasks.retrieval.index.config import IndexConfig
from tasks.retrieval.index.stage import index

__all__ = ["IndexConfig", "index"]
