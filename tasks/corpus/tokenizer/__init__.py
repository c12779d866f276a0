"""tokenizer: byte-pair encoding learned from the training documents only."""

from tasks.corpus.tokenizer.config import TokenizerConfig
from tasks.corpus.tokenizer.stage import tokenizer

__all__ = ["TokenizerConfig", "tokenizer"]
