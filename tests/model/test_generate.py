"""model/generate.py: the cached loop equals the naive one; how a text ends; stop strings; log-probabilities.

What happens when texts grow side by side is tested in test_decoding.py.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from model.decoding import Decoder, Request
from model.generate import Generation, Sampling, generate, generate_batch, stream
from model.gpt import GPT
from model.shape import GPTConfig

SHAPE = GPTConfig(vocab_size=40, n_layer=2, n_head=4, n_kv_head=2, d_model=32, d_ff=48, max_seq_len=16)
MODEL = GPT(SHAPE).initialise(5).eval()
with torch.no_grad():
    for _weight in MODEL.parameters():
        if _weight.dim() > 1:
            _weight.mul_(8)  # otherwise all tokens are about as likely and nothing would be tested


def letters(ids: list[int]) -> bytes:
    """Token 0 is a, 1 is b, …, and token 39 the first byte of é."""
    return b"".join(b"\xc3" if token == 39 else bytes([97 + token]) for token in ids)


def naive(prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(MODEL(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_equals_running_everything_again() -> None:
    assert generate(MODEL, [1, 2, 3], 12).ids == naive([1, 2, 3], 12)
    assert generate(MODEL, [1, 2, 3], 0) == Generation(finish="length")


def test_it_stops_before_the_end_token() -> None:
    whole = naive([1, 2, 3], 12)
    end = whole[4]
    made = generate(MODEL, [1, 2, 3], 12, stop={end})
    assert (made.ids, made.finish, made.ended) == (whole[: whole.index(end)], "stop", True)
    assert made.end == end
    assert generate(MODEL, [1, 2, 3], 3, stop={end} - set(whole[:3])).finish == "length"


def test_the_answer_ends_with_the_context_and_the_prompt_is_read_whole() -> None:
    made = generate(MODEL, [1] * 10, 7)
    assert (len(made.ids), made.finish) == (7, "length")  # the last token is read by nobody: 10 + 6 fill the context
    for prompt in ([1, 2, 3], [3, 2, 1], [9] * 15, [9] * 16):
        made = generate(MODEL, prompt, 99)
        assert made.ids == naive(prompt, 17 - len(prompt))
        assert (made.finish, made.ended, made.left_out) == ("context", False, 0)
    with pytest.raises(ValueError, match="prompt of 17 tokens does not fit the context of 16"):
        generate(MODEL, [1] * 17, 1)


@pytest.mark.parametrize(("keep", "prompt"), [(0, [1, 2, 3]), (1, [1, 2, 3]), (3, [4] * 16), (15, [5] * 15)])
def test_past_the_context_it_goes_on_without_the_oldest_quarter(keep: int, prompt: list[int]) -> None:
    seen, ids, left_out = list(prompt), [], 0
    with torch.inference_mode():
        for _ in range(60):
            if len(seen) > 16:
                drop = max(1, (16 - keep) // 4)
                seen = seen[:keep] + seen[keep + drop :]
                left_out += drop
            ids.append(int(MODEL(torch.tensor([seen]))[0, -1].argmax()))
            seen.append(ids[-1])
    made = generate(MODEL, prompt, 60, slide=keep)
    assert made.ids == ids
    assert (made.finish, made.left_out) == ("length", left_out)
    assert left_out > 0


def test_the_seed_decides() -> None:
    first = generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1))
    torch.manual_seed(99)  # somebody else's generator has no part in it
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=1)) == first
    assert generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=2)) != first
    assert len(generate(MODEL, [1], 10, Sampling(temperature=1.5, seed=2**64 - 1)).ids) == 10


def test_the_log_probabilities_are_the_models_own() -> None:
    sampling = Sampling(1.3, top_k=5, seed=4, repetition_penalty=1.2)
    made = generate(MODEL, [1, 2, 3], 9, sampling)
    with torch.inference_mode():
        logits = MODEL(torch.tensor([[1, 2, 3, *made.ids]]))[0, 2:-1]
    own = logits.log_softmax(dim=-1).gather(1, torch.tensor(made.ids)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(made.log_probs), own, atol=1e-5, rtol=1e-5)
    assert made.mean_log_prob == pytest.approx(own.mean().item(), abs=1e-5)
    ended = generate(MODEL, [1, 2, 3], 9, sampling, stop={made.ids[-1]} - set(made.ids[:-1]))
    if ended.end is not None:  # the end token is one of those that the model was sure of
        assert ended.mean_log_prob == pytest.approx(made.mean_log_prob)
    assert generate(MODEL, [1], 0).mean_log_prob is None


def test_a_text_ends_before_its_stop_string() -> None:
    whole = generate(MODEL, [1, 2, 3], 12, decode_bytes=letters)
    assert whole.text == letters(whole.ids).decode(errors="replace")
    word = whole.text[4:6]
    made = generate(MODEL, [1, 2, 3], 12, Sampling(stop=("not this", word)), decode_bytes=letters)
    assert made.text == whole.text[: whole.text.index(word)]
    assert (made.finish, made.ids) == ("stop", whole.ids[: whole.text.index(word) + 2])
    # what looked like the beginning of a stop string comes out when the text ends for another reason
    assert generate(MODEL, [1, 2, 3], 5, Sampling(stop=(word,)), decode_bytes=letters).text == whole.text[:5]
    with pytest.raises(ValueError, match="Stop strings need the tokenizer"):
        generate(MODEL, [1], 5, Sampling(stop=("x",)))


def test_a_stream_gives_each_token_at_once() -> None:
    whole = generate(MODEL, [1, 2, 3], 8)
    assert list(stream(MODEL, [1, 2, 3], 8)) == whole.ids
    assert list(stream(MODEL, [1, 2, 3], 8, stop={whole.ids[-1]})) == whole.ids[: whole.ids.index(whole.ids[-1])]
    assert list(stream(MODEL, [1], 0)) == []


def test_a_text_grows_with_every_step() -> None:
    whole = generate(MODEL, [1, 2, 3], 8, decode_bytes=letters)
    decoder = Decoder(MODEL, letters)
    made, texts = decoder.add(Request([1, 2, 3], 8)), []
    while decoder.active:
        decoder.step()
        texts.append(made.text or "")
        assert len(made.ids) == len(texts)
    assert (texts[-1], made) == (whole.text, whole)
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


def test_a_model_in_training_goes_on_training() -> None:
    model = GPT(SHAPE).initialise(1).train()
    generate(model, [1], 3)
    assert model.training


@pytest.mark.parametrize(
    ("prompt", "settings", "words"),
    [
        ([], {}, "empty prompt"),
        ([1, 40], {}, "has the id 40, but the model's vocabulary only 0 to 39"),
        ([1, -1], {}, "has the id -1"),
        ([1], {"slide": 16}, "slide is 16, but of the 16 tokens of the context 0 to 15 can stay"),
        ([1], {"slide": -1}, "slide is -1"),
        ([1], {"batch_size": 0}, "at least one text"),
        ([1], {"sampling": [Sampling(), Sampling()]}, "1 prompts, 1 lengths, 2 samplings and 1 source texts"),
    ],
)
def test_what_cannot_be_generated(prompt: list[int], settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        generate_batch(MODEL, [prompt], 3, **settings)  # type: ignore[arg-type]


def test_a_wrong_prompt_is_named_before_any_text_is_made() -> None:
    with pytest.raises(ValueError, match="Prompt 2 of 3: An empty prompt"):
        generate_batch(MODEL, [[1], [], [2]], 3)


def test_a_damaged_model_is_named() -> None:
    model = GPT(SHAPE).initialise(1)
    with torch.no_grad():
        model.norm.weight[0] = math.nan
    for sampling in (Sampling(), Sampling(1.0, top_p=0.9)):
        with pytest.raises(ValueError, match="logits after 1 tokens are not finite"):
            generate(model, [1], 3, sampling)
