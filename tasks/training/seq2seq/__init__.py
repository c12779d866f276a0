"""Sequence to sequence: an encoder-decoder learns to write the target of a source, such as a translation."""

from tasks.training.seq2seq.config import Seq2SeqConfig
from tasks.training.seq2seq.stage import seq2seq

__all__ = ["Seq2SeqConfig", "seq2seq"]
