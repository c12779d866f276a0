"""Pretraining: a language model learns the corpus, token by token."""

from tasks.training.pretrain.config import PretrainConfig
from tasks.training.pretrain.stage import pretrain

__all__ = ["PretrainConfig", "pretrain"]
