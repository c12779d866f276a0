"""The unigram vocabulary: deterministic, of all bytes, as good as byte pairs, and the same in transformers' library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from model.tokenizer import PATTERNS, Tokenizer, specials_after
from model.vocabulary.exported import document_of
from tasks.corpus.tokenizer.unigram import learn_unigram
from tests.model.vocabulary.small_models import hard_texts, learned_pairs, sentences


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    vocabulary = learn_unigram(sentences(), 500, PATTERNS["gpt4"], tmp_path_factory.mktemp("work"))
    return Tokenizer.of(vocabulary, specials_after(len(vocabulary.tokens()), 64))


def test_any_text_comes_back(learned: Tokenizer) -> None:
    @given(hard_texts)
    def check(text: str) -> None:
        ids = learned.encode(text)
        assert learned.decode(ids) == text
        assert learned.token_bytes()[ids].sum() == len(text.encode())
        assert not set(ids) & set(learned.specials.values())

    check()


def test_the_same_text_gives_the_same_vocabulary(learned: Tokenizer, tmp_path: Path) -> None:
    again = learn_unigram(reversed(sentences()), 500, PATTERNS["gpt4"], tmp_path)
    assert again.files() == learned.vocabulary.files()
    assert not list(tmp_path.iterdir())


def test_it_shortens_text_as_byte_pairs_do(learned: Tokenizer) -> None:
    text = " ".join(sentences())
    assert len(learned.encode(text)) < 1.05 * len(learned_pairs("gpt4", 500).encode(text))
    assert len(set(learned.vocabulary.tokens().values()) & {bytes([b]) for b in range(256)}) == 256


@pytest.mark.parity
def test_it_is_the_same_in_transformers_library(learned: Tokenizer) -> None:
    import tokenizers

    theirs = tokenizers.Tokenizer.from_str(json.dumps(document_of(learned)))
    theirs.encode_special_tokens = True

    @given(hard_texts)
    def check(text: str) -> None:
        assert theirs.encode(text).ids == learned.encode(text)
        assert theirs.decode(learned.encode(text)) == text

    check()


def test_what_cannot_be_learned_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pattern '\(' cannot be used"):
        learn_unigram(["a"], 300, "(", tmp_path)
    with pytest.raises(ValueError, match="No unigram vocabulary of 100 pieces"):
        learn_unigram(["a"], 100, PATTERNS["gpt4"], tmp_path)
    assert len(learn_unigram(["a"], 8000, PATTERNS["gpt4"], tmp_path).tokens()) >= 256
