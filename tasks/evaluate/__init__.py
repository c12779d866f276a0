"""Evaluation: held-out text, multiple choice in two public formats, and a compressor to compare with."""

from tasks.evaluate.stage import EvaluateConfig, evaluate

__all__ = ["EvaluateConfig", "evaluate"]
