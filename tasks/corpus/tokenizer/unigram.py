"""Learns a unigram vocabulary (Kudo 2018) with SentencePiece, from how often each word of the corpus occurs.

The alphabet are the 256 bytes, spelled as letters, so that every text can be encoded and comes back as it was. Words
are what the split pattern makes of a text, as for byte pairs. `tokenizers` applies the vocabulary: the library that
`transformers` applies it with.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from model.vocabulary.byte_pairs import whole_characters
from model.vocabulary.exported import byte_level_steps
from model.vocabulary.merges import byte_letters
from model.vocabulary.pieces import Pieces

MAX_PIECE = 24  # bytes; 16 characters are SentencePiece's own limit, and many have two or three bytes
MAX_WORD = 4000  # bytes of a word in SentencePiece's file; longer ones are no words
SEED_WORDS = 100_000  # the most frequent ones, whose parts it begins with
SEEDS = 1_000_000  # as in SentencePiece
# SentencePiece adds up in as many parts as it has threads, so the number must not depend on the machine.
THREADS = 4


def learn_unigram(texts: Iterable[str], size: int, pattern: str, work: Path) -> Pieces:
    """Return a vocabulary of at most `size` pieces, the same one for the same texts.

    Raises ValueError if the pattern cannot be used. `work` holds a file while it is learned.
    """
    import sentencepiece
    import tokenizers

    steps = byte_level_steps(pattern)
    shell = {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0]]}, "added_tokens": [], **steps}
    try:
        splitter = tokenizers.Tokenizer.from_str(Pieces(shell).files()["pieces.json"].decode()).pre_tokenizer
    except ValueError as error:
        raise ValueError(f"The pattern {pattern!r} cannot be used: {error}") from error
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(whole_characters(text)))
    words, seeds = work / "words.tsv", work / "seeds.tsv"
    words.write_text("".join(_lines(counts)), "utf-8")
    seeds.write_text("".join(_seeds(counts)), "utf-8")
    made = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            input=str(words),
            input_format="tsv",
            model_writer=made,
            model_type="unigram",
            seed_sentencepieces_file=str(seeds),
            vocab_size=size + 1,  # with the unknown piece, which is left out below
            hard_vocab_limit=False,
            character_coverage=1.0,
            max_sentencepiece_length=MAX_PIECE,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            split_by_whitespace=False,
            num_threads=THREADS,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(f"No unigram vocabulary of {size:,} pieces can be learned from this text: {error}") from error
    finally:
        words.unlink()
        seeds.unlink()
    return Pieces({**_DOCUMENT, **steps, "model": _model(made.getvalue())})


_DOCUMENT: dict[str, Any] = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "post_processor": None,
}  # fmt: skip


def _lines(counts: Counter[str]) -> Iterable[str]:
    """Yield words with their number, the most frequent first, and every byte once, so that each becomes a piece."""
    for letter in byte_letters():
        yield f"{letter}\t1\n"
    for word, count in _ordered(counts):
        if len(word.encode()) <= MAX_WORD:
            yield f"{word}\t{count}\n"


def _seeds(counts: Counter[str]) -> Iterable[str]:
    """Yield what to begin with: strings within words, with their number, those first that cover most text.

    SentencePiece itself begins with strings that are followed by different letters, which a word by itself never is:
    " and" could not become a piece, and 3.35 bytes would go into a token instead of 3.78 (novels, 4,096 ids).
    """
    strings: Counter[str] = Counter()
    for word, count in islice(_ordered(counts), SEED_WORDS):
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + MAX_PIECE) + 1):
                strings[word[start:end]] += count
    found = ((string, count) for string, count in strings.items() if count > 1 and len(string) > 1)
    for string, count in islice(sorted(found, key=lambda item: (-item[1] * len(item[0]), item[0])), SEEDS):
        yield f"{string}\t{count}\n"


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _model(data: bytes) -> dict[str, Any]:
    import sentencepiece

    learned = sentencepiece.SentencePieceProcessor(model_proto=data)
    pieces = [[learned.id_to_piece(i), learned.get_score(i)] for i in range(learned.get_piece_size())]
    return {"type": "Unigram", "unk_id": None, "vocab": pieces[1:], "byte_fallback": False}
