"""A tokenizer as the fields of a GGUF file, as far as llama.cpp splits text in the same way."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from model.chat import stop_ids
from model.templates import TemplateName
from model.tokenizer import PATTERNS, Tokenizer
from model.vocabulary.byte_pairs import BytePairs
from model.vocabulary.imported import QWEN, SMOLLM
from model.vocabulary.merges import merges_of, spelled
from model.vocabulary.sentence_pieces import BPE, BYTE, SentencePieces

NORMAL, CONTROL, UNUSED = 1, 3, 5
_NOT_NFC = "texts in which letters and their marks are apart (not in the Unicode form NFC), which it leaves as they are"


@dataclass(frozen=True)
class GgufVocabulary:
    """What a file says of its vocabulary.

    model: how text becomes tokens: gpt2 = byte pairs, llama = SentencePiece's. pre: by what pattern text is split, a
    name that llama.cpp has built in. ends: the tokens that end a text, the usual one first. differs: which texts are
    split otherwise there, in words; `differs_where` and `unicode_form`, which all others have, find them.
    """

    model: str
    pre: str
    tokens: list[bytes]
    types: list[int]
    bos: int
    pad: int | None
    ends: tuple[int, ...]
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    space_first: bool = False
    differs: str = ""
    differs_where: str = ""
    unicode_form: Literal["", "NFC"] = ""

    def differs_at(self, text: str) -> bool:
        """Whether a text is one of those that are known to be split otherwise."""
        if self.unicode_form and not unicodedata.is_normalized(self.unicode_form, text):
            return True
        return bool(self.differs_where) and re.search(self.differs_where, text) is not None


def gguf_vocabulary(tokenizer: Tokenizer, chat: TemplateName | None) -> GgufVocabulary:
    """Return what a file says of a tokenizer. An answer ends as `chat` closes it, a text with <|eos|> or where the next
    one begins.

    Raises ValueError if llama.cpp has no such tokenizer.
    """
    vocabulary = tokenizer.vocabulary
    tokens = [f"[UNUSED_{id_}]".encode() for id_ in range(tokenizer.vocab_size)]
    types = [UNUSED] * tokenizer.vocab_size
    for name, id_ in tokenizer.specials.items():
        tokens[id_], types[id_] = name.encode(), CONTROL
    ends = stop_ids(tokenizer, chat)
    ids: dict[str, Any] = {
        "bos": tokenizer.bos if tokenizer.has("bos") else ends[0],
        "pad": tokenizer.pad if tokenizer.has("pad") else None,
        "ends": ends,
    }
    if isinstance(vocabulary, BytePairs):
        pre = pre_of(vocabulary.pattern)
        merges, unreachable = merges_of(vocabulary.ranks)
        if unreachable and not pre.whole_pieces:
            raise ValueError(
                f"{unreachable:,} tokens of this vocabulary are no merge of two others, and with the split pattern "
                f"{pre.name} llama.cpp makes tokens by merging alone."
            )
        for token, id_ in vocabulary.ranks.items():
            tokens[id_], types[id_] = spelled(token).encode(), NORMAL
        _check_spellings(tokens)
        pairs = [f"{spelled(left)} {spelled(right)}" for left, right in merges]
        made = GgufVocabulary(
            "gpt2", pre.name, tokens, types, **ids, merges=pairs, differs=pre.differs, differs_where=pre.differs_where
        )
        return replace(made, differs=_NOT_NFC, unicode_form="NFC") if vocabulary.normalizer else made
    if isinstance(vocabulary, SentencePieces) and vocabulary.proto.trainer_spec.model_type == BPE:
        return _of_pieces(vocabulary, tokens, types, ids)
    raise ValueError(
        f"llama.cpp has no tokenizer that splits text as a vocabulary of the kind {vocabulary.kind} "
        f"({vocabulary.description().get('algorithm')}) does; byte pairs and SentencePiece's BPE can leave as GGUF."
    )


@dataclass(frozen=True)
class Pre:
    """A split that llama.cpp has built in. whole_pieces: a piece that is a token becomes it, also if no merge makes it.
    differs: which texts it splits otherwise than our pattern, in words, and as a pattern that finds them.
    """

    name: str
    whole_pieces: bool = False
    differs: str = ""
    differs_where: str = ""


_LONG_S = "words behind an apostrophe and a long s (ſ), which counts as an s there for us"
PRES: dict[str, Pre] = {
    PATTERNS["gpt2"]: Pre("gpt-2"),
    PATTERNS["llama3"]: Pre("llama-bpe", whole_pieces=True, differs=_LONG_S, differs_where="'ſ"),
    # GPT-4's own has `\s++$`, which none of llama.cpp's has: white space at the end of a text is one piece by it.
    PATTERNS["gpt4"]: Pre(
        "llama-bpe",
        whole_pieces=True,
        differs=f"texts that end in a line break and spaces, which are two pieces there; {_LONG_S}",
        differs_where=r"[\r\n][^\S\r\n]+\Z|'ſ",
    ),
    SMOLLM: Pre("smollm"),
    QWEN: Pre("qwen2", differs=_LONG_S, differs_where="'ſ"),
}
"""llama.cpp's split for each pattern, found by trying all of its names on texts of hard pieces (tests/parity)."""


def pre_of(pattern: str) -> Pre:
    """Return llama.cpp's split for a pattern; raises ValueError if it has none."""
    if pattern in PRES:
        return PRES[pattern]
    named = next((name for name, known in PATTERNS.items() if known == pattern), repr(pattern))
    known = [name for name, pattern in PATTERNS.items() if pattern in PRES]
    raise ValueError(
        f"llama.cpp has no split of text like the pattern {named} (tokenizer.pattern); those that can leave as GGUF "
        f"are {', '.join(known)}, and the ones that SmolLM and Qwen come in with."
    )


def _check_spellings(tokens: list[bytes]) -> None:
    twice = [token for token, count in Counter(tokens).items() if count > 1]
    if twice:
        raise ValueError(
            f"Two tokens are spelled {twice[0].decode()!r}, and a GGUF file has one for each spelling; give the "
            "special token another name (tokenizer.specials)."
        )


def _of_pieces(
    vocabulary: SentencePieces, tokens: list[bytes], types: list[int], ids: dict[str, Any]
) -> GgufVocabulary:
    """SentencePiece's BPE: its pieces, with scores and types as they are."""
    spec = vocabulary.proto.normalizer_spec
    pieces = vocabulary.proto.pieces
    if spec.precompiled_charsmap or spec.remove_extra_whitespaces:
        raise ValueError(
            "llama.cpp does not change text before it splits it, as this SentencePiece vocabulary does (its "
            "normalization or remove_extra_whitespaces), so it would make other tokens."
        )
    if not any(piece.type == BYTE for piece in pieces):
        raise ValueError("llama.cpp needs a token for each byte; this SentencePiece vocabulary has none.")
    scores = [0.0] * len(tokens)
    for id_, piece in enumerate(pieces):
        tokens[id_], types[id_], scores[id_] = piece.piece.encode(), piece.type, piece.score
    _check_spellings(tokens)
    return GgufVocabulary("llama", "default", tokens, types, **ids, scores=scores, space_first=spec.add_dummy_prefix)
