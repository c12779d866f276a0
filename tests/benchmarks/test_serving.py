"""The server's speed beside `transformers` generate and llama.cpp's own server: greedy, float32, one core each.

`make bench-serve` runs it. Tokens are counted per second of the serving process's own processor time, in turns, so that
a busy machine disturbs all alike; the clients' time does not count.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch

from data_lake.store.lake import Lake
from model.gguf.vocabulary import gguf_vocabulary
from model.gguf.writing import write_gguf
from model.gpt import GPT
from model.huggingface.config import config_to
from model.huggingface.weights import weights_for_export
from model.shape import GPTConfig
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.training.written import write_model
from tests.benchmarks import llama_cpp_server
from tests.benchmarks.board import record
from tests.live_serve import serving

PROMPT, NEW, STREAMS, ROUNDS = 64, 64, 16, 2
CONTEXT = 256
SHAPES: dict[str, dict[str, int]] = {
    "4.5M": {"vocab_size": 4096},
    "58M": {
        "vocab_size": 32768, "n_layer": 12, "n_head": 8, "n_kv_head": 8, "d_model": 512, "d_ff": 1536,
        "max_seq_len": CONTEXT,
    },
}  # fmt: skip


def tokenizer_of(size: int) -> Tokenizer:
    """Bytes, then pairs and triples of letters."""
    letters = string.ascii_letters
    longer = ("".join(some) for length in (2, 3) for some in itertools.product(letters, repeat=length))
    pieces = [bytes([b]) for b in range(256)] + [text.encode() for text in itertools.islice(longer, size - 264)]
    return Tokenizer({piece: rank for rank, piece in enumerate(pieces)}, PATTERNS["gpt2"], specials_after(size - 8, 8))


class ShapeConfig(StageConfig):
    """Which of the shapes."""

    shape: str


@stage(makes=kinds.Model, version=1)
def pretrain(config: ShapeConfig, out: Output) -> None:
    """Write a model that has learned nothing."""
    model, tokenizer = made(config.shape)
    write_model(out, model, tokenizer, [], None)


def made(shape: str) -> tuple[GPT, Tokenizer]:
    config = GPTConfig.model_validate(SHAPES[shape])
    return GPT(config).initialise(0).eval(), tokenizer_of(config.vocab_size)


@dataclass(frozen=True)
class Rival:
    """Somebody who goes on from prompts of token ids, and the processor seconds that it has taken so far."""

    write: Callable[[list[list[int]]], tuple[int, list[float]]]
    """Returns how many tokens were written, and the seconds to the first one of each text; [] = it does not tell."""
    seconds: Callable[[], float]


def prompts(count: int, seed: int) -> list[list[int]]:
    """Each time others, so that no cache knows them."""
    return torch.randint(1, 250, (count, PROMPT), generator=torch.Generator().manual_seed(seed)).tolist()


def over_http(url: str, body: Callable[[list[int]], dict[str, Any]], path: str, process: psutil.Process) -> Rival:
    async def one(client: httpx.AsyncClient, prompt: list[int]) -> tuple[int, float]:
        began, first, tokens = time.perf_counter(), 0.0, 0
        async with client.stream("POST", url + path, json=body(prompt)) as answer:
            assert answer.status_code == 200, await answer.aread()
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    first = first or time.perf_counter() - began
                    said = json.loads(line.removeprefix("data: "))
                    if usage := said.get("usage"):
                        tokens = usage["completion_tokens"]
                    tokens = max(tokens, said.get("tokens_predicted", 0))
        return tokens, first

    async def every(given: list[list[int]]) -> list[tuple[int, float]]:
        async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
            return await asyncio.gather(*(one(client, prompt) for prompt in given))

    def write(given: list[list[int]]) -> tuple[int, list[float]]:
        found = asyncio.run(every(given))
        return sum(tokens for tokens, _ in found), [first for _, first in found]

    def seconds() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    return Rival(write, seconds)


@contextmanager
def llama_cpp(model: GPT, tokenizer: Tokenizer, folder: Path) -> Iterator[Rival]:
    path = folder / "model.gguf"
    write_gguf(model, gguf_vocabulary(tokenizer, None), path, "f32", name="it", chat_template=None)
    command = [sys.executable, llama_cpp_server.__file__, str(path), str(STREAMS), str(CONTEXT)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        address = next(line for line in process.stdout if line.startswith("http")).strip()

        def body(prompt: list[int]) -> dict[str, Any]:
            asked = {"n_predict": NEW, "temperature": 0, "samplers": ["temperature"], "ignore_eos": True}
            return {"prompt": prompt, "stream": True, "cache_prompt": False, **asked}

        yield over_http(address, body, "/completion", psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()


def transformers_of(model: GPT) -> Rival:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(**config_to(model.config, bos=1, eos=None, pad=0))
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.load_state_dict(weights_for_export(model), strict=False)
    theirs.generation_config.eos_token_id = None

    def write(given: list[list[int]]) -> tuple[int, list[float]]:
        ids = torch.tensor(given)
        theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False)
        return NEW * len(given), []

    return Rival(write, time.process_time)


@pytest.mark.benchmark
@pytest.mark.parametrize("shape", list(SHAPES))
def test_serving(shape: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    torch.set_num_threads(1)
    model, tokenizer = made(shape)
    pretrain.build(Lake(tmp_path / "lake"), ShapeConfig(shape=shape), {})

    def body(prompt: list[int]) -> dict[str, Any]:
        asked = {"max_tokens": NEW, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
        return {"prompt": prompt, **asked}

    with serving(tmp_path) as server, llama_cpp(model, tokenizer, tmp_path) as cpp:
        ours = over_http(server.url, body, "/v1/completions", server.process)
        alone = 0.0
        for streams in (1, STREAMS):
            name = "transformers, in one batch" if streams > 1 else "transformers"
            theirs = transformers_of(model)
            speeds, firsts = measured({"textmill": ours, "llama.cpp": cpp, name: theirs}, streams)
            alone = speeds["transformers"] = alone or speeds["transformers"]  # one text after the other
            unit = "tokens/s of one core"
            name = f"{shape} weights, {streams} stream{'s' if streams > 1 else ''}"
            mine = speeds.pop("textmill")
            record(name, mine, speeds, unit=unit, board="serve")
            own, others = firsts["textmill"], firsts["llama.cpp"]
            for share in (0.5, 0.99):
                record(
                    f"{name}: first token, p{share * 100:.0f}", at(own, share), {"llama.cpp": at(others, share)},
                    unit="ms", board="serve", more_is_better=False,
                )  # fmt: skip
            print(name, f"{mine:.0f}", {rival: f"{mine / speed:.2f} ×" for rival, speed in speeds.items()})
            assert mine / speeds["transformers"] > GOALS[shape][streams > 1]


GOALS = {"4.5M": (2.0, 7.0), "58M": (2.0, 7.0)}
"""How many times faster than `transformers` with one stream and with 16, at least (docs/serving.md)."""


def measured(rivals: dict[str, Rival], streams: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return each one's best tokens per processor second, and all times to the first token in ms."""
    speeds, firsts = dict.fromkeys(rivals, 0.0), {name: list[float]() for name in rivals}
    for number in range(ROUNDS + 1):
        for name, rival in rivals.items():
            before = rival.seconds()
            tokens, times = rival.write(prompts(streams, number))
            if number:  # the first round warms up
                speeds[name] = max(speeds[name], tokens / (rival.seconds() - before))
                firsts[name] += [1000 * one for one in times]
    return speeds, firsts


def at(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]
