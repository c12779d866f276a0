"""The evaluate stage: held-out text, multiple choice in two public formats, and a compressor for comparison."""

from tasks.evaluation.evaluate.config import EvaluateConfig
from tasks.evaluation.evaluate.stage import evaluate

__all__ = ["EvaluateConfig", "evaluate"]
