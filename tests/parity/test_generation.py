"""Parity with `transformers` in generation: distributions, a batch padded on the left, penalty and stop strings."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.generate import Sampling, generate, generate_batch
from model.gpt import GPT
from model.huggingface.folder import read_folder
from model.huggingface.weights import read_model
from model.sampling import filtered, penalised
from tests.hugging_face import build

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("one_thread")]
transformers = pytest.importorskip("transformers")

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 256},
    "qwen3": {"max_position_embeddings": 256},
    "gpt2": {"n_positions": 256, "n_embd": 64, "n_head": 4},
}
PROMPTS = [[5, 9, 33], [7], [2 + n for n in range(40)], [90, 4, 4, 4, 17, 60]]


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[GPT, Any]:
    folder = tmp_path_factory.mktemp(request.param)
    theirs = build(request.param, **FAMILIES[request.param])
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                parameter.sub_(1.0)  # around 1 they would decide alone what is written
    theirs.save_pretrained(folder)
    theirs.generation_config.eos_token_id = None
    return read_model(read_folder(folder)).eval(), theirs


def expected(theirs: Any, prompts: list[list[int]], count: int, **settings: Any) -> list[list[int]]:
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    made = theirs.generate(ids, attention_mask=mask, max_new_tokens=count, do_sample=False, pad_token_id=0, **settings)
    return made[:, longest:].tolist()


def test_a_batch_with_padding_on_the_left(pair: tuple[GPT, Any]) -> None:
    ours, theirs = pair
    texts = [made.ids for made in generate_batch(ours, PROMPTS, 80)]
    assert texts == expected(theirs, PROMPTS, 80)
    assert len({token for text in texts for token in text}) > 8, "texts of few tokens would agree by accident"


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_a_repetition_penalty(pair: tuple[GPT, Any], penalty: float) -> None:
    ours, theirs = pair
    for prompt in PROMPTS[::2]:
        made = generate(ours, prompt, 40, Sampling(repetition_penalty=penalty)).ids
        assert made == expected(theirs, [prompt], 40, repetition_penalty=penalty)[0]


def test_log_probabilities_are_theirs(pair: tuple[GPT, Any]) -> None:
    ours, theirs = pair
    made = generate(ours, PROMPTS[0], 20, Sampling(1.0, seed=3))
    with torch.inference_mode():
        logits = theirs(torch.tensor([[*PROMPTS[0], *made.ids]])).logits[0, len(PROMPTS[0]) - 1 : -1]
    their_own = logits.log_softmax(dim=-1).gather(1, torch.tensor(made.ids)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(made.log_probs), their_own, atol=1e-4, rtol=0)


@settings(max_examples=100)
@given(
    st.integers(0, 10_000),
    st.sampled_from([96, 2000]),
    st.sampled_from([0.3, 0.8, 1.0, 1.7]),
    st.sampled_from([0, 1, 2, 20, 90]),
    st.sampled_from([1.0, 0.999, 0.95, 0.5, 0.01]),
    st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    st.sampled_from([1.0, 1.2, 0.8]),
)
def test_the_distributions_are_equal(
    seed: int, vocab_size: int, temperature: float, top_k: int, top_p: float, min_p: float, penalty: float
) -> None:
    """Those of the processors that `transformers` chooses for these settings, in its own order."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, vocab_size, generator=generator) * 4
    ids = torch.randint(0, vocab_size, (3, 30), generator=generator)
    config = transformers.GenerationConfig(
        do_sample=True, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty
    )
    scores = processors(config)(ids, logits.clone())
    seen = torch.zeros(3, vocab_size, dtype=torch.bool).scatter(1, ids, True)
    sampling = Sampling(temperature, top_k, top_p, min_p=min_p, repetition_penalty=penalty)
    found = filtered(penalised(logits, seen, penalty), sampling)
    torch.testing.assert_close(found, scores.softmax(dim=-1), atol=1e-6, rtol=1e-4)


@cache
def any_model() -> Any:
    return build("llama")


def processors(config: Any) -> Any:
    return any_model()._get_logits_processor(config, input_ids_seq_length=30, device="cpu", model_kwargs={})


def test_stop_strings_end_where_theirs_do(pair: tuple[GPT, Any]) -> None:
    """`transformers` returns the tokens of the stop string too; so do our ids, and the text ends before it."""
    ours, theirs = pair
    letters = [chr(33 + n) for n in range(94)] + [" ", "\n"]
    for prompt in PROMPTS[:2]:
        text = "".join(letters[token] for token in generate(ours, prompt, 60).ids)
        for stop in (text[9:12], text[31:34]):
            made = generate(
                ours, prompt, 60, Sampling(stop=(stop,)),
                decode_bytes=lambda ids: "".join(letters[token] for token in ids).encode(),
            )  # fmt: skip
            assert made.ids == expected(theirs, [prompt], 60, stop_strings=[stop], tokenizer=bytewise(letters))[0]
            assert made.text == text[: text.index(stop)]


def bytewise(letters: list[str]) -> Any:
    """A tokenizer of `transformers` in which each letter is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    spelled = {{" ": "Ġ", "\n": "Ċ"}.get(letter, letter): number for number, letter in enumerate(letters)}
    made = Tokenizer(models.BPE(spelled, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)
