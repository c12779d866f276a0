"""model/past.py: texts of different lengths, read together, give the states that each gives alone; in each network."""

from __future__ import annotations

import pytest
import torch

from model import masks
from model.gpt import GPT
from model.past import Past, Source
from model.shape import GPTConfig

TEXTS = [[1, 2, 3, 4, 5, 6, 7], [8, 9], [3]]
SOURCES = [[4, 5], [6], [7, 8, 9, 1, 2]]


def network(**fields: object) -> GPT:
    shape = {"vocab_size": 12, "n_layer": 2, "n_head": 2, "d_model": 16, "d_ff": 24, "max_seq_len": 24, **fields}
    model = GPT(GPTConfig(**shape)).initialise(3).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    return model


def alone(model: GPT, text: list[int], source: list[int]) -> torch.Tensor:
    memory = model.encode(torch.tensor([source])) if model.encoder else None
    return model.hidden(torch.tensor([text]), memory=memory)[0, -1]


@pytest.mark.parametrize(
    "fields",
    [
        {"n_kv_head": 1},
        {"family": "qwen3", "n_kv_head": 1},
        {"family": "gpt2", "n_kv_head": 2},
        {"network": "encoder-decoder", "n_kv_head": 1},
        {"network": "encoder-decoder", "n_kv_head": 2, "family": "gpt2"},
    ],
    ids=lambda fields: " ".join(map(str, fields.values())),
)
@torch.inference_mode()
def test_texts_of_different_lengths(fields: dict[str, object]) -> None:
    model = network(**fields)

    def same(states: torch.Tensor, texts: list[list[int]], sources: list[list[int]]) -> None:
        wanted = torch.stack([alone(model, *pair) for pair in zip(texts, sources, strict=True)])
        torch.testing.assert_close(states, wanted, atol=2e-5, rtol=1e-4)

    def read(texts: list[list[int]], sources: list[list[int]]) -> tuple[Past, torch.Tensor]:
        return Past.read(model, texts, Source.read(model, sources) if model.encoder else None)

    past, states = read(TEXTS, SOURCES)
    same(states, TEXTS, SOURCES)
    same(past.go_on([[1], [2], [3]]), [[*text, n + 1] for n, text in enumerate(TEXTS)], SOURCES)
    past = past.rows([1, 2, 2])
    assert past.length == 3  # [8, 9, 2] needs no padding, [3, 3] one place
    assert past.padding.tolist() == [0, 1, 1]
    other, _ = read([[5] * 4], [[1, 1, 1]])
    past = other.joined(past)
    texts, sources = [[5] * 4, [8, 9, 2], [3, 3], [3, 3]], [[1, 1, 1], SOURCES[1], SOURCES[2], SOURCES[2]]
    for token in (6, 7):
        texts = [[*text, token] for text in texts]
        same(past.go_on([[token]] * 4), texts, sources)


@torch.inference_mode()
def test_the_padding_of_a_source_is_hidden() -> None:
    model = network(network="encoder-decoder", n_kv_head=1)
    read = Source.read(model, SOURCES)
    assert read.mask[:, 0, 0].int().tolist() == masks.padded(torch.tensor([2, 1, 5]), 5)[:, 0, 0].int().tolist()
    for states, source in zip(read.states, SOURCES, strict=True):
        torch.testing.assert_close(states[: len(source)], model.encode(torch.tensor([source]))[0], atol=2e-5, rtol=1e-4)
