"""tokenizer: byte-pair encoding learned from the training documents only."""

from tasks.tokenizer.config import TokenizerConfig
from tasks.tokenizer.stage import tokenizer

__all__ = ["TokenizerConfig", "tokenizer"]
