"""Evaluation: held-out text, multiple choice in two public formats, and a compressor to compare with."""

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.stage import evaluate

__all__ = ["EvaluateConfig", "evaluate"]
