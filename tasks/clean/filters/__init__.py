"""The filters: named classes with published thresholds, applied one after the other."""

from tasks.clean.filters.base import Filter, Removal
from tasks.clean.filters.chain import CLASSES, Chain

__all__ = ["CLASSES", "Chain", "Filter", "Removal"]
