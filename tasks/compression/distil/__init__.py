"""distil: a smaller network learns from text and from what a teacher finds likely."""

from tasks.compression.distil.config import DistilConfig
from tasks.compression.distil.stage import distil

__all__ = ["DistilConfig", "distil"]
