"""Supervised fine-tuning: a pretrained model learns to answer instructions."""

from tasks.sft.config import SftConfig
from tasks.sft.stage import sft

__all__ = ["SftConfig", "sft"]
