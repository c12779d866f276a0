"""model/generate.py: the cached loop equals the naive one; sampling keeps to its limits and its seed."""

from __future__ import annotations

import pytest
import torch

from model.config import GPTConfig
from model.generate import Sampling, filtered, generate
from model.gpt import GPT

MODEL = (
    GPT(GPTConfig(vocab_size=40, n_layer=2, n_head=4, n_kv_head=2, d_model=32, d_ff=48, max_seq_len=16))
    .initialise(5)
    .eval()
)
with torch.no_grad():
    for _weight in MODEL.parameters():
        if _weight.dim() > 1:
            _weight.mul_(8)  # otherwise all tokens are about as likely and nothing would be tested


def naive(prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(MODEL(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_equals_running_everything_again() -> None:
    assert generate(MODEL, [1, 2, 3], 12) == naive([1, 2, 3], 12)


def test_it_stops_before_the_end_token() -> None:
    whole = naive([1, 2, 3], 12)
    end = whole[4]
    assert generate(MODEL, [1, 2, 3], 12, stop={end}) == whole[: whole.index(end)]


def test_it_ends_with_the_context_and_cuts_a_long_prompt_from_the_left() -> None:
    assert len(generate(MODEL, [1] * 10, 6)) == 6
    assert len(generate(MODEL, [1, 2], 99)) == 16  # room was made for the answer: one token of the prompt is left
    assert generate(MODEL, [7] * 30 + [1, 2, 3], 13) == generate(MODEL, [1, 2, 3], 13)


def test_the_seed_decides() -> None:
    first = generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1))
    torch.manual_seed(99)  # somebody else's generator has no part in it
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1)) == first
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=2)) != first


def test_top_k_and_top_p() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    torch.testing.assert_close(
        filtered(logits, Sampling(temperature=1.0, top_k=2)), torch.tensor([0.625, 0.375, 0.0, 0.0])
    )
    torch.testing.assert_close(
        filtered(logits, Sampling(temperature=1.0, top_p=0.7)), torch.tensor([0.625, 0.375, 0.0, 0.0])
    )
    assert filtered(logits, Sampling(temperature=1.0, top_p=0.01)).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert filtered(logits, Sampling(temperature=0.01)).argmax() == 0


@pytest.mark.parametrize("fields", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_impossible_sampling_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs temperature"):
        Sampling(**fields)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        generate(MODEL, [], 3)
