"""tasks/evaluation/evaluate/writing.py: greedy answers end at a stop text, an end token or the limit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from model.generate import generate
from model.gpt import GPT
from model.shape import GPTConfig
from tasks.evaluation.evaluate.writing import TOGETHER, Writer


class Letters:
    """A tokenizer of bytes."""

    bos, eos = 256, 257

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return bytes(one for one in ids if one < 256)


@pytest.fixture(scope="module")
def writer() -> Writer:
    torch.manual_seed(1)
    shape = {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "d_model": 16, "d_ff": 24, "max_seq_len": 40}
    model = GPT(GPTConfig(vocab_size=258, tie_embeddings=False, **shape))
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return Writer(model.eval(), Letters())  # type: ignore[arg-type]


def written(writer: Writer, prompt: str, until: Sequence[str], most: int) -> tuple[str, int, int]:
    """What is written after a prompt, in a batch with others."""
    one, *_ = writer([prompt, "Another one", "x" * 50, prompt], until, most)
    return one.text, one.tokens, one.cut


def by_hand(model: GPT, prompt: list[int], until: Sequence[str], most: int) -> str:
    """One token after the other, each by a forward pass over all before it, as long as no stop text stands there."""
    ids: list[int] = []
    while len(ids) < most and not any(stop in Letters().decode(ids) for stop in until):
        with torch.inference_mode():
            token = int(model(torch.tensor([prompt + ids]))[0, -1].argmax())
        if token in (256, 257):
            break
        ids.append(token)
    text = Letters().decode(ids)
    for stop in until:
        text = text.split(stop)[0]
    return text


def test_the_answer_is_the_greedy_one(writer: Writer) -> None:
    text, read, cut = written(writer, "Say it", (), 10)
    expected = generate(writer.model, Letters().encode("Say it"), 10, stop=(256, 257)).ids
    assert (text, read, cut) == (Letters().decode(expected), 6, 0)


def test_many_prompts_are_answered_as_each_alone(writer: Writer) -> None:
    prompts = [chr(97 + number % 26) * (1 + number % 17) for number in range(3 * TOGETHER // 2)]
    ends = sorted({by_hand(writer.model, Letters().encode(prompt), (), 10)[3:5] for prompt in prompts})[:3]
    read: list[int] = []
    told = Writer(writer.model, Letters(), on_read=read.append)  # type: ignore[arg-type]
    made = told(prompts, ["", *ends], 10)
    assert [one.text for one in made] == [
        by_hand(writer.model, Letters().encode(prompt), ends, 10) for prompt in prompts
    ]
    assert len({len(one.text) for one in made}) > 1  # some end before others
    assert len(read) == len(prompts)
    assert sum(read) >= sum(one.tokens for one in made)
    assert told([], (), 10) == []


def test_it_ends_before_the_first_stop_text(writer: Writer) -> None:
    whole, _, _ = written(writer, "Say it", (), 10)
    text, _, _ = written(writer, "Say it", ("never written", whole[4:6]), 10)
    assert text == whole[: whole.index(whole[4:6])]


def test_a_long_prompt_loses_its_beginning(writer: Writer) -> None:
    text, read, cut = written(writer, "x" * 50 + "Say it", (), 10)
    assert (read, cut) == (30, 26)
    assert text == written(writer, "x" * 24 + "Say it", (), 10)[0]
    assert written(writer, "x" * 50, (), 1000)[1:] == (20, 30)  # an answer cannot take the whole context


def test_an_empty_prompt_begins_like_a_document(writer: Writer) -> None:
    assert written(writer, "", (), 3)[0] == Letters().decode(generate(writer.model, [256], 3, stop=(256, 257)).ids)


def test_a_chat_template_wraps_the_prompt(writer: Writer) -> None:
    chat = Writer(writer.model, Letters(), lambda text: [1, *text.encode(), 2])  # type: ignore[arg-type]
    assert chat(["Say"], (), 3)[0].tokens == 5


def test_an_answer_as_long_as_the_context_leaves_half_of_it_to_the_prompt(writer: Writer) -> None:
    """The context has 40 tokens: a question of 12 is read whole, and not its last letter alone."""
    _, read, cut = written(writer, "What is it? ", (), 256)
    assert (read, cut) == (12, 0)
    _, read, cut = written(writer, "x" * 100, (), 40)
    assert (read, cut) == (20, 80)
    _, read, cut = written(writer, "x" * 100, (), 39)
    assert (read, cut) == (1, 99)  # as in lm-eval
