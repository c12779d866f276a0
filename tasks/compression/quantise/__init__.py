"""quantise: a model's weights in 8 or 4 bits, with what it loses on held-out text."""

from tasks.compression.quantise.config import QuantiseConfig
from tasks.compression.quantise.stage import quantise

__all__ = ["QuantiseConfig", "quantise"]
