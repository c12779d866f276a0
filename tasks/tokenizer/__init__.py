"""tokenizer: byte-pair encoding learned from the training documents, and nothing but those."""

from tasks.tokenizer.stage import TokenizerConfig, tokenizer

__all__ = ["TokenizerConfig", "tokenizer"]
