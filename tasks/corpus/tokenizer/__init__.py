"""tokenizer: a vocabulary learned from the training documents only, a ready one, or one from elsewhere."""

from tasks.corpus.tokenizer.config import TokenizerConfig
from tasks.corpus.tokenizer.stage import tokenizer

__all__ = ["TokenizerConfig", "tokenizer"]
