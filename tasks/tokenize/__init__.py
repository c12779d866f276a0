"""tokenize: documents as three streams of token ids, train, val and test, and where each document lies in them."""

from tasks.tokenize.stage import TokenizeConfig, tokenize

__all__ = ["TokenizeConfig", "tokenize"]
