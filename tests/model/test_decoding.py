"""model/decoding.py: a text is the same alone and beside others, whenever they come and go, and past the context."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.decoding import Decoder, Request
from model.generate import Generation, Sampling, generate, generate_batch
from model.gpt import GPT
from model.shape import GPTConfig
from tests.model.test_generate import MODEL, SHAPE, letters

pytestmark = pytest.mark.usefixtures("one_thread")


PROMPTS = st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=16), min_size=1, max_size=7)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.0, 1.0, 2.0]),
    top_k=st.sampled_from([0, 7]),
    top_p=st.sampled_from([1.0, 0.8]),
    seed=st.integers(0, 99),
    min_p=st.sampled_from([0.0, 0.05]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    stop=st.sampled_from([(), ("ab",), ("c", "dd")]),
)


def same(made: Generation, other: Generation) -> None:
    """Equal but for the last digits of the log-probabilities: a matrix product of more rows rounds differently."""
    torch.testing.assert_close(torch.tensor(made.log_probs), torch.tensor(other.log_probs), atol=1e-4, rtol=0)
    assert made == other


@settings(max_examples=20)
@given(PROMPTS, st.data(), st.sampled_from([None, 0, 1, 3]), st.integers(1, 10))
def test_a_text_is_the_same_alone_and_in_a_batch(
    prompts: list[list[int]], data: st.DataObject, slide: int | None, batch_size: int
) -> None:
    lengths = [data.draw(st.integers(0, 30)) for _ in prompts]
    samplings = [data.draw(SAMPLINGS) for _ in prompts]
    together = generate_batch(
        MODEL, prompts, lengths, samplings, {39}, slide=slide, decode_bytes=letters, batch_size=batch_size
    )
    for prompt, length, sampling, made in zip(prompts, lengths, samplings, together, strict=True):
        same(made, generate(MODEL, prompt, length, sampling, {39}, slide=slide, decode_bytes=letters))


def test_greedy_and_sampled_texts_of_many_prompts() -> None:
    generator = torch.Generator().manual_seed(3)
    prompts = [
        torch.randint(0, 40, (int(torch.randint(1, 17, (1,), generator=generator)),), generator=generator).tolist()
        for _ in range(24)
    ]
    for sampling in ([Sampling()] * 24, [Sampling(1.0, seed=seed) for seed in range(24)]):
        together = generate_batch(MODEL, prompts, 30, sampling, slide=1, batch_size=10)
        for prompt, one, made in zip(prompts, sampling, together, strict=True):
            same(made, generate(MODEL, prompt, 30, one, slide=1))


def test_samples_of_one_prompt_read_it_once() -> None:
    reads: list[int] = []
    handle = MODEL.embed_tokens.register_forward_pre_hook(lambda _, given: reads.append(given[0].numel()))
    samplings = [Sampling(1.5, seed=seed) for seed in range(8)]
    try:
        together = generate_batch(MODEL, [[1, 2, 3, 4]] * 8, 5, samplings)
    finally:
        handle.remove()
    assert reads == [4, 8, 8, 8, 8]
    assert len({tuple(made.ids) for made in together}) > 1
    for sampling, made in zip(samplings, together, strict=True):
        same(made, generate(MODEL, [1, 2, 3, 4], 5, sampling))


def test_texts_that_have_ended_cost_nothing_once_they_are_half() -> None:
    rows: list[int] = []
    handle = MODEL.embed_tokens.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    try:
        generate_batch(MODEL, [[1, 2], [3, 4], [5, 6], [7, 8]], [2, 3, 6, 6])
    finally:
        handle.remove()
    assert rows == [4, 4, 4, 2, 2, 2]


def test_texts_join_and_leave_between_steps() -> None:
    decoder = Decoder(MODEL, letters)
    first = decoder.add(Request([1, 2, 3], 10))
    for _ in range(4):
        decoder.step()
    second = decoder.add(Request([5] * 9, 6, Sampling(1.0, seed=2)))
    third = decoder.add(Request([7], 20))
    for _ in range(3):
        decoder.step()
    decoder.cancel(third)
    assert decoder.active == 2
    while decoder.active:
        decoder.step()
    same(first, generate(MODEL, [1, 2, 3], 10, decode_bytes=letters))
    same(second, generate(MODEL, [5] * 9, 6, Sampling(1.0, seed=2), decode_bytes=letters))
    assert third.finish is None
    assert third.ids == generate(MODEL, [7], 3).ids
    decoder.step()  # nothing is left to do


def test_long_and_short_texts_share_a_context() -> None:
    """The long one ends with the context while the short one still has room, however far they are along together."""
    together = generate_batch(MODEL, [[1] * 15, [2], [3] * 8], 99)
    assert [(len(made.ids), made.finish) for made in together] == [(2, "context"), (16, "context"), (9, "context")]
    for prompt, made in zip(([1] * 15, [2], [3] * 8), together, strict=True):
        same(made, generate(MODEL, prompt, 99))


def test_an_encoder_decoder_reads_its_sources() -> None:
    shape = {**SHAPE.model_dump(), "network": "encoder-decoder"}
    model = GPT(GPTConfig(**shape)).initialise(4).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    sources = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [1, 2, 3]]
    prompts = [[0], [0, 7], [0], [0]]
    together = generate_batch(model, prompts, [30, 6, 20, 30], sources=sources, slide=1)
    assert len({tuple(made.ids[:6]) for made in together}) == 3  # what is written depends on the source
    for prompt, source, made in zip(prompts, sources, together, strict=True):
        same(made, generate(model, prompt, len(made.ids), source=source, slide=1))
    with torch.inference_mode():
        ids, memory = [0], model.encode(torch.tensor([sources[0]]))
        for _ in range(15):
            ids.append(int(model(torch.tensor([ids]), memory=memory)[0, -1].argmax()))
    assert together[0].ids[:15] == ids[1:]
    with pytest.raises(ValueError, match="encoder-decoder reads a source text; give it one"):
        generate(model, [0], 3)
    for source, words in (([], "it must have 1 to 16"), ([1] * 17, "has 17 tokens"), ([40], "has the id 40")):
        with pytest.raises(ValueError, match=words):
            generate(model, [0], 3, source=source)


def test_other_networks_are_told_apart() -> None:
    with pytest.raises(ValueError, match="of kind decoder reads no source text"):
        generate(MODEL, [0], 3, source=[1])
    encoder = GPT(GPTConfig(**{**SHAPE.model_dump(), "network": "encoder"}))
    with pytest.raises(ValueError, match="An encoder reads whole texts and writes none"):
        generate(encoder, [0], 3)


def test_the_likeliest_tokens_are_kept_for_those_that_want_them() -> None:
    decoder = Decoder(MODEL)
    wanting = decoder.add(Request([3, 1], 5, top=3))
    other = decoder.add(Request([3, 1], 5))
    while decoder.active:
        decoder.step()
    assert other.top == []
    assert [len(top) for top in wanting.top] == [3] * 5
    for token, log_prob, top in zip(wanting.ids, wanting.log_probs, wanting.top, strict=True):
        assert top[0] == (token, pytest.approx(log_prob, abs=1e-5))  # greedy
        assert [value for _, value in top] == sorted((value for _, value in top), reverse=True)


def test_a_bias_names_ids_of_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="logit_bias names the id 40"):
        Decoder(MODEL).add(Request([1], 1, Sampling(logit_bias=((SHAPE.vocab_size, 1.0),))))
