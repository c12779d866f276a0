"""Parity with the real llama.cpp, which opens the GGUF files: tokens, log-probabilities, ends and templates.

Also covers: model/gguf/child.py
Also covers: model/gguf/llama_cpp.py
Also covers: model/gguf/proof.py
Also covers: model/gguf/quantising.py
Also covers: model/gguf/reading.py
Also covers: model/gguf/writing.py
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.gguf.llama_cpp import LlamaCpp, LlamaCppError
from model.gguf.proof import HARD, prove_gguf
from model.gguf.quantising import quantised
from model.gguf.reading import read_gguf
from model.gguf.types import MIXTURES, GgufName
from model.gguf.vocabulary import GgufVocabulary, gguf_vocabulary
from model.gguf.writing import write_gguf
from model.gpt import GPT
from model.huggingface.chat_template import jinja_template
from model.scoring import Scorer
from model.shape import GPTConfig
from model.templates import TEMPLATES, TemplateName
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from model.vocabulary.imported import SMOLLM
from tests.model.ollama.test_modelfile import marked
from tests.model.vocabulary.small_models import HARD as PIECES
from tests.model.vocabulary.small_models import imported_pieces, learned_pairs

pytestmark = pytest.mark.parity
gguf = pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"n_kv_head": 1},
    "llama3.1": {"d_head": 8, "tie_embeddings": False, "rope_scaling": {"original_max_seq_len": 32}},
    "qwen3": {"family": "qwen3", "d_head": 8, "tie_embeddings": False},
    "gpt2": {"family": "gpt2"},
}
SLOW = pytest.mark.slow
PLAIN = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}


def model(tokenizer: Tokenizer, **shape: Any) -> GPT:
    """A model that is sure of something else after every token: its weights are large."""
    sizes = {"n_layer": 2, "n_head": 2, "n_kv_head": 2, "d_model": 32, "d_ff": 64, "max_seq_len": 64}
    made = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **{**sizes, **shape})).initialise(1)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made.eval()


@contextmanager
def opened(
    folder: Path, network: GPT, tokenizer: Tokenizer, chat: TemplateName | None, kind: GgufName = "f32", **changes: Any
) -> Iterator[tuple[LlamaCpp, Path, GgufVocabulary]]:
    """A model that was written, as llama.cpp opens it; `changes` are those of its vocabulary."""
    vocabulary = dataclasses.replace(gguf_vocabulary(tokenizer, chat), **changes)
    jinja = jinja_template(tokenizer, chat, plain=True) if chat else None
    path = folder / f"model-{kind}.gguf"
    write_gguf(network, vocabulary, path, kind, name="small", chat_template=jinja)
    with LlamaCpp(path, network.config.max_seq_len, lambda id_: tokenizer.decode_bytes([id_])) as made:
        yield made, path, vocabulary


def proved(
    folder: Path, network: GPT, tokenizer: Tokenizer, chat: TemplateName | None, kind: GgufName = "f32"
) -> float:
    with opened(folder, network, tokenizer, chat, kind) as (made, path, vocabulary):
        return prove_gguf(made, path, kind, network.config, tokenizer, vocabulary, chat, ["The mill's wheel."])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_the_same(family: str, tmp_path: Path) -> None:
    tokenizer = learned_pairs("gpt2" if family == "gpt2" else "gpt4")
    network = model(tokenizer, **FAMILIES[family])
    difference = proved(tmp_path, network, tokenizer, "textmill")
    assert difference < (5e-3 if family == "gpt2" else 1e-4)  # llama.cpp looks GELU up in a table of float16


def test_every_type_of_weights_is_read_as_written(tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    network = model(tokenizer, d_model=256, d_ff=256, n_layer=1)
    sizes = {}
    for kind in MIXTURES:
        if kind == "f32":
            continue
        proved(tmp_path, network, tokenizer, None, kind)
        sizes[kind] = (tmp_path / f"model-{kind}.gguf").stat().st_size
    assert list(sizes) == ["f16", "q8_0", "q4_0", "q4_k_m", "q5_k_m", "q6_k"]
    assert sizes["f16"] > sizes["q8_0"] > sizes["q6_k"] > sizes["q5_k_m"] > sizes["q4_k_m"]


def test_quantised_bytes_are_those_of_the_reference() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 256)).astype(np.float32)
    for kind in ("Q8_0", "Q4_0"):
        assert np.array_equal(quantised(weights, kind), gguf.quants.quantize(weights, gguf.GGMLQuantizationType[kind]))
    losses = {}
    for kind in ("Q4_K", "Q5_K", "Q6_K"):
        again = gguf.quants.dequantize(quantised(weights, kind), gguf.GGMLQuantizationType[kind])
        losses[kind] = float(np.sqrt(((again - weights) ** 2).mean()))
    assert 0.1 > losses["Q4_K"] > losses["Q5_K"] > losses["Q6_K"] > 0.01


def test_a_text_is_as_likely_as_at_home(tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    network = model(tokenizer)
    ids = tokenizer.encode("The mill's wheel, 水车 ½, turned 12 times")
    with opened(tmp_path, network, tokenizer, None) as (made, path, _):
        theirs = made.log_likelihood([tokenizer.bos], ids)
        assert torch.equal(read_gguf(path, network.config).norm.weight, network.norm.weight)
    ours = Scorer(network, tokenizer.encode, tokenizer.bos).score_ids([([tokenizer.bos], ids)])[0].log_likelihood
    assert theirs == pytest.approx(ours, abs=1e-3)


@pytest.mark.parametrize("template", [pytest.param(one, marks=SLOW if one != "chatml" else ()) for one in TEMPLATES])
def test_every_template_asks_as_at_home(template: TemplateName, tmp_path: Path) -> None:
    """In chatml with marks that are special tokens, else with those that are not."""
    tokenizer = marked() if template == "chatml" else learned_pairs("llama3")
    proved(tmp_path, model(tokenizer), tokenizer, template)


def test_pieces_of_sentencepiece_leave_too(tmp_path: Path) -> None:
    tokenizer = imported_pieces("bpe", **PLAIN).with_roles()
    assert proved(tmp_path, model(tokenizer), tokenizer, "textmill") < 1e-4


def greedy(pattern: str) -> Tokenizer:
    """A tokenizer with tokens across words, digits and spaces, so that each other split gives other tokens."""
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(hard_texts(4000, seed=1)), 2500, pattern=r"[\s\S]+")
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    return Tokenizer(ranks, pattern, specials_after(len(ranks), 64))


def hard_texts(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    pool = [
        *(piece for piece in PIECES if "<|" not in piece),
        *"aàÀBb1٣ \n\r\t.,!/'sſ水éÉЖж",
        "  ",
        "\n  ",
        "ab",
        "12",
        "'ſ",
    ]
    return ["".join(generator.choices(pool, k=generator.randint(1, 9))) for _ in range(count)]


@pytest.mark.parametrize(
    "name", ["gpt2", "gpt4", pytest.param("llama3", marks=SLOW), pytest.param("smollm", marks=SLOW)]
)
def test_every_pattern_splits_as_at_home(name: str, tmp_path: Path) -> None:
    """What is known to differ does differ, so that nothing is excused without need."""
    tokenizer = greedy(PATTERNS.get(name, SMOLLM))
    with opened(tmp_path, model(tokenizer, n_layer=1), tokenizer, None) as (made, _, vocabulary):
        texts = [*HARD, *hard_texts(120, seed=2)]
        unlike = [text for text in texts if made.tokens(text) != tokenizer.encode(text)]
        assert [text for text in unlike if not vocabulary.differs_at(text)] == []
        if name == "gpt4":
            assert made.tokens("ab\n  ") != tokenizer.encode("ab\n  ")
        if name in ("gpt4", "llama3"):
            assert any("'ſ" in text for text in unlike)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pre": "smollm"}, "splits .* otherwise"),
        ({"ends": (601,)}, "goes on after the token 600"),
        ({"bos": 602}, "opens a prompt with"),
    ],
)
def test_a_file_that_says_something_else_is_not_proved(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    network, honest = model(tokenizer), gguf_vocabulary(tokenizer, "textmill")
    with (
        opened(tmp_path, network, tokenizer, "textmill", **changes) as (made, path, _),
        pytest.raises(ValueError, match=why),
    ):
        prove_gguf(made, path, "f32", network.config, tokenizer, honest, "textmill", ["wheel 1234567"])


def test_another_network_or_template_is_not_proved(tmp_path: Path) -> None:
    tokenizer = learned_pairs()
    network = model(tokenizer)
    other = GPTConfig(**{**network.config.model_dump(), "rope_theta": 500.0})
    with opened(tmp_path, network, tokenizer, "phi3") as (made, path, honest):
        with pytest.raises(ValueError, match="likelier or less likely by"):
            prove_gguf(made, path, "f32", other, tokenizer, honest, "phi3", [])
        with pytest.raises(ValueError, match=r"not the .* of the template alpaca"):
            prove_gguf(made, path, "f32", network.config, tokenizer, honest, "alpaca", [])


def test_what_it_does_not_open_is_told_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF nothing")
    with pytest.raises(LlamaCppError, match=r"llama\.cpp does not open broken\.gguf: .*this GGUF file is version"):
        LlamaCpp(tmp_path / "broken.gguf", 64, lambda _: b"")


def test_where_it_ends_nothing_else_does(tmp_path: Path) -> None:
    """A check of its own that fails ends its process: an error here."""
    tokenizer = learned_pairs()
    with opened(tmp_path, model(tokenizer), tokenizer, None) as (made, _, _):
        made._process.kill()
        with pytest.raises(LlamaCppError, match=r"llama\.cpp ended while it read model-f32\.gguf"):
            made.tokens("The mill")
