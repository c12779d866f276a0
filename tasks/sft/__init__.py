"""Supervised fine-tuning: a pretrained model learns to answer instructions."""

from tasks.sft.stage import SftConfig, sft

__all__ = ["SftConfig", "sft"]
