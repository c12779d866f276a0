"""Pretraining: a language model learns the corpus, token by token."""

from tasks.pretrain.stage import PretrainConfig, pretrain

__all__ = ["PretrainConfig", "pretrain"]
