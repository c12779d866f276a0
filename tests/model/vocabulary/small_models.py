"""Small vocabularies of every kind, and texts that are hard to split, for the tests of vocabularies."""

from __future__ import annotations

import functools
import io
import random

from hypothesis import strategies as st

from model.tokenizer import PATTERNS, Tokenizer, specials_after
from model.vocabulary.sentence_pieces import SentencePieces

HARD = (
    "<|endoftext|>", "<|pad|>", "<|bos|>", "</s>", "<s>", "<unk>", "<|im_start|>user", " ", "  ", "   ", "\n", "\r\n",
    "\t", "'s", "'LL", "'ſ", "12345", "0", "é", "e\u0301", "Å", "\u212b", "👩\u200d🔬", "🇫🇷", "水车", "हिन्दी",
    "İ", "\u2028", "\x85", "\u180e", "\x1c", "\x0b", "\x00", "\ufeff", "▁", "Ġ", "the", " the", "The mill", "aaaa",
    "def f(x):", "½", "٣",
)  # fmt: skip

hard_texts = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(HARD)), max_size=12).map("".join)
"""Texts of hard pieces and of any characters."""


def sentences(count: int = 400, seed: int = 0) -> list[str]:
    """Sentences of made-up words, some with digits, capitals and accents."""
    generator = random.Random(seed)
    letters = "aaabcdeeefghiiklmnoooprstuuvwäé"
    words = ["".join(generator.choices(letters, k=generator.randrange(1, 8))) for _ in range(120)]
    words += ["The", "the", "it's", "1234", "7", "水车", "mill"]
    return [" ".join(generator.choices(words, k=generator.randrange(3, 20))) + "." for _ in range(count)]


@functools.cache
def sentencepiece_model(kind: str, vocab_size: int = 420, **settings: object) -> bytes:
    """A SentencePiece model of the kind "bpe" or "unigram", with byte fallback unless the settings say otherwise."""
    import sentencepiece

    made = io.BytesIO()
    given: dict[str, object] = {"byte_fallback": True, "character_coverage": 1.0, "num_threads": 1, **settings}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences()), model_writer=made, model_type=kind, vocab_size=vocab_size,
        hard_vocab_limit=False, minloglevel=2, **given,
    )  # fmt: skip
    return made.getvalue()


def imported_pieces(kind: str, **settings: object) -> Tokenizer:
    """A tokenizer of such a model."""
    vocabulary = SentencePieces(sentencepiece_model(kind, **settings))
    return Tokenizer.of(vocabulary, vocabulary.specials(), {"bos": "<s>", "eos": "</s>"})


@functools.cache
def learned_pairs(pattern: str = "gpt4", vocab_size: int = 600) -> Tokenizer:
    """A byte-pair tokenizer learned as the tokenizer stage does it."""
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(sentences()), vocab_size, pattern=PATTERNS[pattern])
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    return Tokenizer(ranks, PATTERNS[pattern], specials_after(len(ranks), 64))
