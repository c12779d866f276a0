"""Vocabularies in SentencePiece's own form (`tokenizer.model`), applied by the library `sentencepiece`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from model.vocabulary.byte_pairs import whole_characters
from model.vocabulary.pieces import charsmap

MODEL_FILE = "pieces.model"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BPE, UNIGRAM = 2, 1


class SentencePieces:
    """A SentencePiece model. Its control tokens are specials, which no text can spell."""

    kind = "sentencepiece"
    keeps_text = False

    def __init__(self, model: bytes, hidden: Collection[str] = ()) -> None:
        """hidden: user-defined pieces that are special tokens, and from now on no text.

        Raises ValueError if the bytes are no SentencePiece model of BPE or unigram type.
        """
        import sentencepiece

        proto = parsed(model)
        if proto.trainer_spec.model_type not in (BPE, UNIGRAM):
            raise ValueError("Its type is neither BPE nor unigram, so it does not give back all text.")
        for piece in proto.pieces:
            if piece.piece in hidden and piece.type == USER_DEFINED:
                piece.type = CONTROL
        self.model: bytes = proto.SerializeToString()
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as error:
            raise ValueError(f"The library sentencepiece cannot read it: {error}") from error
        self.proto = proto
        self.drops_first_space = proto.normalizer_spec.add_dummy_prefix

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        ids: list[int] = self._processor.encode(whole_characters(text))
        return ids

    def tokens(self) -> dict[int, bytes]:
        """Return the bytes of each id."""
        found = {}
        for id_, piece in enumerate(self.proto.pieces):
            if piece.type == BYTE:
                found[id_] = bytes.fromhex(re.fullmatch(r"<0x(..)>", piece.piece)[1])  # type: ignore[index]
            elif piece.type not in (UNKNOWN, CONTROL):
                found[id_] = piece.piece.replace("▁", " ").encode()
        return found

    def specials(self) -> dict[str, int]:
        """Return its control tokens and its unknown token."""
        return {piece.piece: i for i, piece in enumerate(self.proto.pieces) if piece.type in (UNKNOWN, CONTROL)}

    def identity(self) -> Iterator[bytes]:
        """Yield what the vocabulary's identity is made of."""
        yield self.kind.encode()
        yield self.model

    def description(self) -> dict[str, Any]:
        """Return what the tokenizer's description says about it."""
        return {
            "kind": self.kind,
            "algorithm": "BPE" if self.proto.trainer_spec.model_type == BPE else "Unigram",
        }

    def files(self) -> dict[str, bytes]:
        """Return the files it is stored in."""
        return {MODEL_FILE: self.model}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes], description: Mapping[str, Any]) -> SentencePieces:
        """Return what `files` hold."""
        return cls(files[MODEL_FILE])

    def __reduce__(self) -> tuple[Any, ...]:
        return SentencePieces, (self.model,)


def parsed(model: bytes) -> Any:
    """Return the pieces and settings of a SentencePiece model; raises ValueError if the bytes are none."""
    from sentencepiece import sentencepiece_model_pb2

    proto: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        proto.ParseFromString(model)
    except Exception as error:  # of protobuf, whose module this must not depend on
        raise ValueError(f"It is no SentencePiece model: {error}") from error
    if not proto.pieces:
        raise ValueError("It is no SentencePiece model: it has no pieces.")
    return proto


def as_document(vocabulary: SentencePieces) -> dict[str, Any]:
    """Return a SentencePiece model as a tokenizer.json document, without its special tokens.

    A BPE model merges the neighbours whose piece has the best score; listed by score, these are the document's merges.
    Two things differ in `tokenizers`, whoever converts: in a unigram model it takes the names of control tokens in a
    text for these tokens, and it adds scores in 64 bits, so that of ways to split that are as good it may take another.
    """
    proto = vocabulary.proto
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    unknown = next(i for i, piece in enumerate(proto.pieces) if piece.type == UNKNOWN)
    falls_back = any(piece.type == BYTE for piece in proto.pieces)
    if proto.trainer_spec.model_type == UNIGRAM:
        model: dict[str, Any] = {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [list(piece) for piece in pieces],
            "byte_fallback": falls_back,
        }
    else:
        model = {
            "type": "BPE", "dropout": None, "unk_token": pieces[unknown][0], "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": falls_back, "ignore_merges": False,
            "vocab": {piece: i for i, (piece, _) in enumerate(pieces)},
            "merges": _merges_by_score(proto),
        }  # fmt: skip
    spec = proto.normalizer_spec
    prefix = [{"type": "Prepend", "prepend": "▁"}] if spec.add_dummy_prefix else []
    # spaces only: the step Strip would take every kind of white space away
    squeeze = [
        {"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    ]
    normalizers = [
        *([charsmap(spec.precompiled_charsmap)] if spec.precompiled_charsmap else []),
        *(squeeze if spec.remove_extra_whitespaces else []),
        *prefix,
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if spec.add_dummy_prefix else []
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": i, "content": piece.piece, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
            for i, piece in enumerate(proto.pieces) if piece.type == USER_DEFINED
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                *([{"type": "ByteFallback"}] if falls_back else []),
                {"type": "Fuse"},
                *strip,
            ],
        },
        "model": model,
    }  # fmt: skip


def _merges_by_score(proto: Any) -> list[list[str]]:
    """Return every pair of pieces whose text together is a piece, the best score of the piece first."""
    ids = {piece.piece: i for i, piece in enumerate(proto.pieces) if piece.type in (NORMAL, USER_DEFINED)}
    made = sorted(
        (piece for piece in ids if len(piece) > 1), key=lambda piece: (-proto.pieces[ids[piece]].score, ids[piece])
    )
    merges = []
    for piece in made:
        splits = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        found = [(left, right) for left, right in splits if left in ids and right in ids]
        merges += [list(pair) for pair in sorted(found, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]
    return merges
