"""Pretraining: a language model learns the corpus, token by token."""

from tasks.pretrain.config import PretrainConfig
from tasks.pretrain.stage import pretrain

__all__ = ["PretrainConfig", "pretrain"]
