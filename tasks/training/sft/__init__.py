"""Supervised fine-tuning: a pretrained model learns to answer instructions."""

from tasks.training.sft.config import SftConfig
from tasks.training.sft.stage import sft

__all__ = ["SftConfig", "sft"]
