"""Vocabularies that the library tokenizers applies: all bytes come back, and no text can spell a special token."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from model.tokenizer import Tokenizer
from model.vocabulary.exported import document_of
from model.vocabulary.pieces import Pieces, added_token, is_mark, special_added, with_specials
from tests.model.vocabulary.small_models import HARD, imported_pieces


def document(kind: str) -> dict[str, Any]:
    """A tokenizer.json with byte fallback, as Llama 2 has one (bpe), or T5 (unigram)."""
    return document_of(imported_pieces(kind))


def opened(kind: str) -> Tokenizer:
    """The same as a tokenizer of ours."""
    specials = special_added(document(kind))
    return Tokenizer.of(Pieces(document(kind), specials), specials, {"bos": "<s>", "eos": "</s>"})


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_no_text_spells_a_special_token(kind: str) -> None:
    tokenizer = opened(kind)
    assert tokenizer.specials == {"<unk>": 0, "<s>": 1, "</s>": 2}
    for text in (*HARD, "<s>", "a</s>b", "<unk><s></s>"):
        assert not set(tokenizer.encode(text)) & set(tokenizer.specials.values()), text
    assert tokenizer.decode([tokenizer.bos, *tokenizer.encode("The <s>"), tokenizer.eos]) == "<s> The <s></s>"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_bytes_are_those_that_sentencepiece_has(kind: str) -> None:
    theirs, ours = imported_pieces(kind), opened(kind)
    assert ours.vocabulary.tokens() == theirs.vocabulary.tokens()
    assert ours.vocabulary.drops_first_space
    assert ours.decode(ours.encode("The mill 水☃")) == "The mill 水☃"


def test_the_document_with_its_specials_is_the_one_that_came_in() -> None:
    for kind in ("bpe", "unigram"):
        given = document(kind)
        specials = special_added(given)
        assert with_specials(Pieces(given, specials).document, specials) == given


def test_it_is_kept_in_a_folder_and_sent_to_processes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    tokenizer = opened("unigram")
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.sha256 == tokenizer.sha256 == pickle.loads(pickle.dumps(loaded)).sha256
    assert loaded.encode("The mill \ud800") == tokenizer.encode("The mill \ufffd")
    (tmp_path / "pieces.json").write_text('{"model": 1}')
    with pytest.raises(ValueError, match=r"cannot be read: pieces\.json has no model"):
        Tokenizer.load(tmp_path)


def test_added_words_stay_text_and_added_marks_are_special() -> None:
    given = document("bpe")
    size = len(given["model"]["vocab"])
    words = ("    ", "<think>", "mill")
    given["added_tokens"] += [{**added_token(name, size + i), "special": False} for i, name in enumerate(words)]
    specials = special_added(given)
    assert specials["<think>"] == size + 1
    assert not {"    ", "mill"} & specials.keys()
    tokenizer = Tokenizer.of(Pieces(given, specials), specials)
    assert size + 1 not in tokenizer.encode("<think> a    b")
    for name, id_ in (("    ", size), ("mill", size + 2)):
        assert id_ in tokenizer.encode(f"a{name}b")
        assert tokenizer.decode_bytes([id_]) == name.encode()
    assert all(map(is_mark, ("[INST]", "<|end|>", "<｜x▁y｜>")))
    assert not any(map(is_mark, ("<h1>", "</td>", "< >", "ab", "[", "a<b>", "<a> <b>")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a"}}, "model is WordPiece"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [["a", "b"]]}}, "tokenizers cannot read it"),
        ({"normalizer": {"type": "Nonsense"}}, "tokenizers cannot read it"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": 7}}, "tokenizers cannot read it"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [], "continuing_subword_prefix": "##"}}, "marks pieces with"),
    ],
)
def test_what_gives_no_bytes_is_refused(change: dict[str, Any], message: str) -> None:
    given = copy.deepcopy(document("bpe")) | change
    if message.startswith("model is"):
        given["model"] |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    with pytest.raises(ValueError, match=message):
        Pieces(json.loads(json.dumps(given)))
