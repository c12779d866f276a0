"""The speed of generation beside that of `transformers`: the demo's shape, one core, 1, 8 and 32 texts at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from model.generate import Sampling, generate_batch
from model.gpt import GPT
from model.huggingface.config import config_to
from model.huggingface.weights import weights_for_export
from model.shape import GPTConfig
from tests.benchmarks.board import record

pytestmark = pytest.mark.usefixtures("one_thread")

NEW, PROMPT, VOCAB = 64, 64, 4096


@pytest.fixture(scope="module")
def models() -> tuple[GPT, Any]:
    transformers = pytest.importorskip("transformers")
    ours = GPT(GPTConfig(vocab_size=VOCAB)).initialise(0).eval()
    config = transformers.LlamaConfig(**config_to(ours.config, bos=1, eos=None, pad=0))
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.load_state_dict(weights_for_export(ours), strict=False)
    theirs.generation_config.eos_token_id = None
    return ours, theirs


def best(*runs: Callable[[], object], repeats: int = 5) -> list[float]:
    """CPU seconds of each: the least of some runs, taken in turns so that a busy machine disturbs all alike."""
    seconds = [float("inf")] * len(runs)
    for _ in range(repeats):
        for number, run in enumerate(runs):
            started = time.process_time()
            run()
            seconds[number] = min(seconds[number], time.process_time() - started)
    return seconds


def prompts(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, VOCAB, (count, PROMPT), generator=generator).tolist()


@pytest.mark.benchmark
@pytest.mark.parametrize("count", [1, 8, 32])
def test_greedy(models: tuple[GPT, Any], count: int) -> None:
    ours, theirs = models
    given = prompts(count)
    ids = torch.tensor(given)
    mine, other = best(
        lambda: generate_batch(ours, given, NEW),
        lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False),
    )
    assert said(f"generate {count} texts", count * NEW, mine, other) > 0.95


@pytest.mark.benchmark
def test_sampled(models: tuple[GPT, Any]) -> None:
    ours, theirs = models
    given = prompts(32)
    ids = torch.tensor(given)
    samplings = [Sampling(0.8, top_k=50, top_p=0.95, seed=seed) for seed in range(32)]
    settings = {"do_sample": True, "temperature": 0.8, "top_k": 50, "top_p": 0.95}
    mine, other = best(
        lambda: generate_batch(ours, given, NEW, samplings),
        lambda: theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, **settings),
    )
    assert said("generate 32 texts, sampled, each with its seed", 32 * NEW, mine, other) > 0.95


@pytest.mark.benchmark
def test_many_samples_of_few_prompts(models: tuple[GPT, Any]) -> None:
    """Rollouts as reinforcement learning makes them: 8 samples of each prompt, of different lengths."""
    ours, theirs = models
    given = [prompt for prompt in prompts(8) for _ in range(8)]
    lengths = [8 + 7 * number % NEW for number in range(len(given))]
    samplings = [Sampling(1.0, seed=seed) for seed in range(len(given))]
    ids = torch.tensor(given)

    def by_transformers() -> None:
        for part in ids.split(32):
            theirs.generate(
                part, attention_mask=torch.ones_like(part), max_new_tokens=max(lengths), do_sample=True, top_k=0
            )

    mine, other = best(lambda: generate_batch(ours, given, lengths, samplings), by_transformers)
    assert said("generate 64 rollouts of 8 prompts", sum(lengths), mine, other) > 1.2


def said(name: str, tokens: int, mine: float, other: float) -> float:
    ratio = record(name, tokens / mine, {"transformers": tokens / other}, unit="tokens/s of one core", board="model")
    assert ratio is not None
    return ratio
