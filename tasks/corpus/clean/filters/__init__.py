"""The filters: named classes with published thresholds, applied one after the other."""

from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.filters.chain import CLASSES, Chain

__all__ = ["CLASSES", "Chain", "Filter", "Removal"]
