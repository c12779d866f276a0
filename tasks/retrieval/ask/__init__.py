"""The ask stage: how well a model answers questions from the passages that an index finds."""

from tasks.retrieval.ask.config import AskConfig
from tasks.retrieval.ask.stage import ask

__all__ = ["AskConfig", "ask"]
