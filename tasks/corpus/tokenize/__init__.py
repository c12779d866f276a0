"""tokenize: documents as three streams of token ids, train, val and test, and the position of each document."""

from tasks.corpus.tokenize.stage import TokenizeConfig, tokenize

__all__ = ["TokenizeConfig", "tokenize"]
