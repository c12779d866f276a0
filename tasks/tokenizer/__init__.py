"""tokenizer: byte-pair encoding learned from the training documents only."""

from tasks.tokenizer.stage import TokenizerConfig, tokenizer

__all__ = ["TokenizerConfig", "tokenizer"]
