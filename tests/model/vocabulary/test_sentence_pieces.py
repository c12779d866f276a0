"""SentencePiece models: ids are the library's, all bytes come back, and no text can spell a control token."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given

from model.tokenizer import Tokenizer
from model.vocabulary.sentence_pieces import SentencePieces, parsed
from tests.model.vocabulary.small_models import HARD, hard_texts, imported_pieces, sentencepiece_model

PLAIN = {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "normalization_rule_name": "identity"}
KINDS = {kind: imported_pieces(kind, **PLAIN) for kind in ("bpe", "unigram")}


@pytest.mark.parametrize("kind", KINDS)
@given(text=hard_texts)
def test_any_text_comes_back(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode_bytes(ids).decode() == text.replace("▁", " ")  # SentencePiece cannot tell these apart
    assert not set(ids) & set(tokenizer.specials.values())
    assert tokenizer.token_bytes()[ids].sum() == len(text.replace("▁", " ").encode())


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_space_that_is_put_before_a_text_is_left_out_again(kind: str) -> None:
    tokenizer = imported_pieces(kind)
    ids = tokenizer.encode("The mill it's")
    assert tokenizer.decode(ids) == "The mill it's"
    assert tokenizer.decode_bytes(ids) == b" The mill it's"
    assert tokenizer.decode([tokenizer.bos, *ids]) == "<s> The mill it's"
    assert b"".join(tokenizer.decode_bytes([id_]) for id_ in ids) == tokenizer.decode_bytes(ids)


def test_a_character_of_no_piece_is_unknown_without_byte_fallback() -> None:
    tokenizer = imported_pieces("unigram", byte_fallback=False)
    ids = tokenizer.encode("the ☃")
    assert tokenizer.specials["<unk>"] in ids
    assert "<unk>" in tokenizer.decode(ids)


def test_user_defined_pieces_stay_text_unless_they_are_named_special() -> None:
    model = sentencepiece_model("bpe", user_defined_symbols="<turn>")
    text = SentencePieces(model)
    assert "<turn>" not in text.specials()
    id_ = next(i for i, piece in text.tokens().items() if piece == b"<turn>")
    assert id_ in text.encode("a<turn>b")
    special = SentencePieces(model, {"<turn>"})
    assert special.specials()["<turn>"] == id_
    assert id_ not in special.encode("a<turn>b")


def test_it_is_kept_in_a_folder_and_sent_to_processes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tokenizer = imported_pieces("bpe")
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.sha256, loaded.specials, loaded.roles) == (tokenizer.sha256, tokenizer.specials, tokenizer.roles)
    again = pickle.loads(pickle.dumps(loaded))
    for text in HARD:
        assert again.encode(text) == tokenizer.encode(text)
    with pytest.raises(TypeError, match="kind sentencepiece; it has no ranks"):
        _ = loaded.ranks


@pytest.mark.parametrize("data", [b"", b"no model", b"\x0a\x00" * 9])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no SentencePiece model|cannot read it"):
        SentencePieces(data)


def test_types_that_lose_text_are_refused() -> None:
    proto = parsed(sentencepiece_model("bpe"))
    proto.trainer_spec.model_type = 3
    with pytest.raises(ValueError, match="neither BPE nor unigram"):
        SentencePieces(proto.SerializeToString())
