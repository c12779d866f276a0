"""model/generate.py: the cached loop equals the naive one; sampling keeps to its limits and its seed."""

from __future__ import annotations

import math

import pytest
import torch

from model.generate import Sampling, filtered, generate
from model.gpt import GPT
from model.shape import GPTConfig

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
    assert generate(MODEL, [1, 2, 3], 12).ids == naive([1, 2, 3], 12)


def test_it_stops_before_the_end_token() -> None:
    whole = naive([1, 2, 3], 12)
    end = whole[4]
    made = generate(MODEL, [1, 2, 3], 12, stop={end})
    assert (made.ids, made.finish, made.ended) == (whole[: whole.index(end)], "stop", True)
    assert generate(MODEL, [1, 2, 3], 3, stop={end} - set(whole[:3])).finish == "length"


def test_the_answer_ends_with_the_context_and_the_prompt_is_read_whole() -> None:
    made = generate(MODEL, [1] * 10, 7)
    assert (len(made.ids), made.finish) == (7, "length")  # the last token is read by nobody: 10 + 6 fill the context
    for prompt in ([1, 2, 3], [3, 2, 1], [9] * 15, [9] * 16):
        made = generate(MODEL, prompt, 99)
        assert made.ids == naive(prompt, 17 - len(prompt))
        assert (made.finish, made.ended) == ("context", False)
    with pytest.raises(ValueError, match="prompt of 17 tokens does not fit the context of 16"):
        generate(MODEL, [1] * 17, 1)


def test_the_seed_decides() -> None:
    first = generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1))
    torch.manual_seed(99)  # somebody else's generator has no part in it
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1)) == first
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=2)) != first
    assert len(generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=2**64 - 1)).ids) == 10


@pytest.mark.parametrize("temperature", [1e-40, 5e-324, 1e-8])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    assert generate(MODEL, [1, 2], 10, Sampling(temperature)).ids == naive([1, 2], 10)


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


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -1.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
    ],
)
def test_impossible_sampling_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs a finite temperature"):
        Sampling(**fields)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_beyond_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        Sampling(seed=seed)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="empty prompt"):
        generate(MODEL, [], 3)
