"""model/gguf/vocabulary.py: what a file says of a tokenizer, and the tokenizers that llama.cpp does not have."""

from __future__ import annotations

import pytest

from model.gguf.vocabulary import CONTROL, NORMAL, UNUSED, gguf_vocabulary
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from model.vocabulary.imported import QWEN
from model.vocabulary.sentence_pieces import BYTE
from tests.model.huggingface.test_tokens import gpt2_like
from tests.model.vocabulary.small_models import imported_pieces, learned_pairs

PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}


def test_tokens_stand_by_their_ids() -> None:
    ours = learned_pairs()
    made = gguf_vocabulary(ours, "textmill")
    assert (made.model, made.pre) == ("gpt2", "llama-bpe")
    assert len(made.tokens) == len(made.types) == ours.vocab_size
    assert made.tokens[ours.bos] == b"<|bos|>"
    assert made.types[ours.bos] == CONTROL
    assert made.tokens[ours.encode(" the")[0]].decode().startswith("Ġ")
    assert made.types.count(NORMAL) == len(ours.ranks) == len(made.merges) + 256
    assert (made.bos, made.pad, made.ends) == (ours.bos, ours.pad, (ours.eos, ours.bos))


def test_every_id_has_a_token_and_every_end_is_named() -> None:
    padded = Tokenizer.of(learned_pairs().vocabulary, {"<|end|>": 700}, {"eos": "<|end|>"}, vocab_size=710)
    made = gguf_vocabulary(padded, None)
    assert made.types.count(UNUSED) == 710 - 601
    assert len(set(made.tokens)) == 710
    assert (made.bos, made.pad, made.ends) == (700, None, (700,))
    assert gguf_vocabulary(gpt2_like(), None).ends == (300,)
    names = [name for name in learned_pairs().specials if not name.startswith("<|reserved")]
    ranks = learned_pairs().ranks
    marked = Tokenizer(ranks, PATTERNS["gpt4"], specials_after(len(ranks), 64, (*names, "<|im_start|>", "<|im_end|>")))
    assert gguf_vocabulary(marked, "chatml").ends == (marked.special("<|im_end|>"), marked.eos, marked.bos)


def test_pieces_keep_scores_and_types() -> None:
    ours = imported_pieces("bpe", **PLAIN)
    made = gguf_vocabulary(ours, None)
    assert (made.model, made.space_first) == ("llama", True)
    assert made.types.count(BYTE) == 256
    assert made.scores[-1] < made.scores[300] <= 0


def test_known_differences_are_found_in_texts() -> None:
    made = gguf_vocabulary(learned_pairs(), None)
    assert [text for text in ("a\n  ", "a\n\n", "a  ", "\n  b", "x'ſ", "'s") if made.differs_at(text)] == [
        "a\n  ",
        "x'ſ",
    ]
    qwen = Tokenizer.of(type(learned_pairs().vocabulary)(learned_pairs().ranks, QWEN, "NFC"), {"<|end|>": 600})
    composed = gguf_vocabulary(qwen.with_roles(), None)
    assert composed.differs_at("e\u0301")
    assert not composed.differs_at("é")
    assert not gguf_vocabulary(learned_pairs("gpt2"), None).differs_at("a\n  ")


@pytest.mark.parametrize(
    ("tokenizer", "why"),
    [
        (lambda: learned_pairs("gpt4o"), r"no split of text like the pattern gpt4o .* are gpt2, gpt4, llama3"),
        (lambda: Tokenizer(learned_pairs().ranks, r"[\s\S]", learned_pairs().specials), "no split of text like"),
        (lambda: imported_pieces("unigram", **PLAIN), r"kind sentencepiece \(Unigram\)"),
        (lambda: imported_pieces("bpe", normalization_rule_name="nmt_nfkc"), "does not change text before"),
        (lambda: imported_pieces("bpe", **PLAIN, byte_fallback=False), "needs a token for each byte"),
        (lambda: Tokenizer(learned_pairs().ranks, PATTERNS["gpt2"], {"a": 600}), "Two tokens are spelled 'a'"),
    ],
)
def test_what_llama_cpp_has_not_is_refused(tokenizer, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        gguf_vocabulary(tokenizer().with_roles(), None)
