"""Classification: a pretrained network learns to name the label of a text, such as spam."""

from tasks.training.classify.config import ClassifyConfig
from tasks.training.classify.stage import classify

__all__ = ["ClassifyConfig", "classify"]
