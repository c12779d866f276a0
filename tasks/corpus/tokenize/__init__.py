"""tokenize: documents become three streams of token ids (train, val, test) and an index of each document's position."""

from tasks.corpus.tokenize.stage import TokenizeConfig, tokenize

__all__ = ["TokenizeConfig", "tokenize"]
