"""model/paged_texts.py: texts in blocks are those that grow alone with padding, in whatever order they come and go.

Also covers: model/paged.py
Also covers: model/padded.py
Also covers: model/compiled.py
Also covers: model/kernels.py
Also covers: model/prepacked.py
"""

from __future__ import annotations

import random

import pytest
import torch

from model import compiled
from model.decoding import Decoder, Generation, Request
from model.generate import generate
from model.gpt import GPT
from model.paged import BLOCK_SIZE, bytes_per_block
from model.paged_texts import PagedTexts
from model.sampling import Sampling
from model.shape import GPTConfig

pytestmark = pytest.mark.usefixtures("one_thread")

CONTEXT = 96


def model_of(family: str, **changes: object) -> GPT:
    shape = {
        "vocab_size": 101, "family": family, "n_layer": 2, "n_head": 4, "n_kv_head": 4 if family == "gpt2" else 2,
        "d_model": 32, "d_ff": 46, "max_seq_len": CONTEXT, **changes,
    }  # fmt: skip
    model = GPT(GPTConfig.model_validate(shape)).initialise(1).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # sharper than it is when new, so that texts differ
    return model


def texts_of(model: GPT, blocks: int) -> PagedTexts:
    return PagedTexts(model, blocks * bytes_per_block(model.config, model.embed_tokens.weight.dtype) / 1e6)


def requests(seed: int, count: int) -> list[Request]:
    chance = random.Random(seed)
    shared = [chance.randrange(100) for _ in range(50)]
    made: list[Request] = []
    for number in range(count):
        own = [chance.randrange(100) for _ in range(chance.choice([1, 1, 3, 20]))]
        prompt = shared[: chance.choice([0, 5, 16, 17, 32, 40, 50])] + own
        if number % 5 == 4:
            prompt = list(made[-1].prompt)
        sampling = Sampling(chance.choice([0.0, 0.0, 1.0]), seed=number)
        made.append(Request(prompt, chance.randrange(1, 60), sampling, slide=chance.choice([None, None, 2]), top=2))
    return made


def grown(decoder: Decoder, asked: list[Request], most: int = 12, rest: float = 0.0) -> list[Generation]:
    """Let texts grow, at most `most` at once; `rest` is the probability that the next one waits for another step."""
    chance, made = random.Random(1), list[Generation]()
    while len(made) < len(asked) or decoder.active:
        while len(made) < len(asked) and decoder.active < most and decoder.has_room(asked[len(made)]):
            made.append(decoder.add(asked[len(made)]))
            if chance.random() < rest:
                break
        decoder.step()
    return made


@pytest.mark.parametrize(
    ("family", "blocks"),
    [("llama", CONTEXT // BLOCK_SIZE), ("llama", 13), ("qwen3", 100), ("gpt2", 13), ("in bfloat16", 13)],
)
def test_texts_in_blocks_are_those_of_one_alone(family: str, blocks: int) -> None:
    model = model_of("llama" if family == "in bfloat16" else family)
    if family == "in bfloat16":  # as on a GPU: through torch
        model = model.bfloat16()
        atol, count = 0.05, 8
    else:
        atol, count = 2e-4, 15
    asked = requests(blocks, count)
    alone = [generate(model, one.prompt, one.max_new_tokens, one.sampling, slide=one.slide) for one in asked]
    texts = texts_of(model, blocks)
    together = grown(Decoder(model, None, texts), asked, rest=0.3)
    for one, other in zip(together, alone, strict=True):
        if family != "in bfloat16":
            assert one == other
        same = next((n for n, (a, b) in enumerate(zip(one.ids, other.ids, strict=False)) if a != b), len(other.ids))
        torch.testing.assert_close(
            torch.tensor(one.log_probs[:same]), torch.tensor(other.log_probs[:same]), atol=atol, rtol=0
        )
    assert texts.pool.free == blocks  # everything came back


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_without_onednn_the_kernels_multiply(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = requests(3, 12)
    model = model_of(family)
    alone = [generate(model, one.prompt, one.max_new_tokens, one.sampling, slide=one.slide) for one in asked]
    monkeypatch.setattr(compiled, "available", lambda: False)
    assert grown(Decoder(model, None, texts_of(model, 100)), asked) == alone


def test_a_compiled_step_takes_the_place_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network itself is called for long prompts only."""
    monkeypatch.setattr(compiled, "LONG", 32)
    model, other = model_of("llama"), model_of("gpt2")
    calls: list[int] = []
    for one in (model, other):
        one.embed_tokens.register_forward_pre_hook(lambda _, given: calls.append(given[0].numel()))
    decoder = Decoder(model, None, texts_of(model, 20))
    grown(decoder, [Request([1, 2, 3], 9), Request(list(range(40)), 9), Request([3], 9)])
    assert calls == [44]
    calls.clear()
    grown(Decoder(other, None, texts_of(other, 20)), [Request([1, 2, 3], 4), Request([5], 4)], most=1)
    assert calls == [3, 1, 1, 1, 1, 1, 1, 1]


def test_a_beginning_is_read_once() -> None:
    model = model_of("gpt2")
    decoder = Decoder(model, None, texts_of(model, 40))
    read: list[int] = []
    model.embed_tokens.register_forward_pre_hook(lambda _, given: read.append(given[0].numel()))
    prompt = list(range(40))
    samples = grown(decoder, [Request(prompt, 3, Sampling(1.0, seed=seed)) for seed in range(4)])
    assert read[0] == 40 + 3 * 8  # the others' last 8 tokens share a block with what they write
    assert [one.cached for one in samples] == [0, 32, 32, 32]
    read.clear()
    (again,) = grown(decoder, [Request([*prompt, *samples[0].ids, 7, 8, 9], 1)])
    assert again.cached == 32
    (longer,) = grown(decoder, [Request([*prompt, *range(50, 60)], 1)])
    assert longer.cached == 32
    (whole,) = grown(decoder, [Request([*prompt, *range(50, 60)], 1)])
    assert whole.cached == 48


def test_texts_that_leave_before_they_are_read_leave_nothing_behind() -> None:
    model = model_of("llama")
    texts = texts_of(model, 20)
    decoder = Decoder(model, None, texts)
    prompt = list(range(40))
    gone = decoder.add(Request(prompt, 5))
    kept = decoder.add(Request(prompt, 5))
    decoder.cancel(gone)
    decoder.step()
    assert (gone.cached, kept.cached) == (None, 0)
    while decoder.active:
        decoder.step()
    assert kept == generate(model_of("llama"), prompt, 5)


def test_what_waits_for_room_is_not_lost() -> None:
    model = model_of("llama")
    decoder = Decoder(model, None, texts_of(model, CONTEXT // BLOCK_SIZE))
    made = [decoder.add(Request([seed, 1], 80)) for seed in range(3)]  # two do not fit at once
    decoder.step()
    assert [one.cached for one in made] == [0, None, None]
    assert not decoder.has_room(Request([1], 1))
    while decoder.active:
        decoder.step()
    for seed, one in enumerate(made):
        assert one == generate(model_of("llama"), [seed, 1], 80)


def test_weights_are_not_held_twice() -> None:
    model = model_of("qwen3")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    first = texts_of(model, 20)._compiled
    second = texts_of(model, 20)._compiled
    assert first is not None
    assert second is not None
    for one, other in zip(first.weights[:6], second.weights[:6], strict=True):
        assert one.ctypes.data == other.ctypes.data
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, before[name], atol=0, rtol=0)


def test_too_little_memory_and_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hold 80 tokens of this model, but its context alone is 96 tokens"):
        texts_of(model_of("llama"), 5)
    with pytest.raises(ValueError, match="of kind encoder-decoder"):
        texts_of(model_of("llama", network="encoder-decoder"), 50)
