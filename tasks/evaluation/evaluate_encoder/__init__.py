"""The evaluate_encoder stage: how well an encoder names hidden tokens of held-out text."""

from tasks.evaluation.evaluate_encoder.config import EvaluateEncoderConfig
from tasks.evaluation.evaluate_encoder.stage import evaluate_encoder

__all__ = ["EvaluateEncoderConfig", "evaluate_encoder"]
