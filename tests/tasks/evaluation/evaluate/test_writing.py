"""tasks/evaluation/evaluate/writing.py: greedy answers end at a stop text, an end token or the limit."""

from __future__ import annotations

import pytest
import torch

from model.generate import generate
from model.gpt import GPT
from model.shape import GPTConfig
from tasks.evaluation.evaluate.writing import Writer


class Letters:
    """A tokenizer of bytes."""

    bos, eos = 256, 257

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: list[int]) -> str:
        return bytes(one for one in ids if one < 256).decode("latin-1")


@pytest.fixture(scope="module")
def writer() -> Writer:
    torch.manual_seed(1)
    shape = {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "d_model": 16, "d_ff": 24, "max_seq_len": 40}
    model = GPT(GPTConfig(vocab_size=258, tie_embeddings=False, **shape))
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    return Writer(model.eval(), Letters())  # type: ignore[arg-type]


def test_the_answer_is_the_greedy_one(writer: Writer) -> None:
    text, read, cut = writer("Say it", (), 10)
    expected = generate(writer.model, Letters().encode("Say it"), 10, stop=(256, 257)).ids
    assert (text, read, cut) == (Letters().decode(expected), 6, 0)


def test_it_ends_before_the_first_stop_text(writer: Writer) -> None:
    whole, _, _ = writer("Say it", (), 10)
    text, _, _ = writer("Say it", ("never written", whole[4:6]), 10)
    assert text == whole[: whole.index(whole[4:6])]


def test_a_long_prompt_loses_its_beginning(writer: Writer) -> None:
    text, read, cut = writer("x" * 50 + "Say it", (), 10)
    assert (read, cut) == (30, 26)
    assert text == writer("x" * 24 + "Say it", (), 10)[0]
    assert writer("x" * 50, (), 1000)[1:] == (1, 49)  # at least one token is read


def test_an_empty_prompt_begins_like_a_document(writer: Writer) -> None:
    assert writer("", (), 3)[0] == Letters().decode(generate(writer.model, [256], 3, stop=(256, 257)).ids)


def test_a_chat_template_wraps_the_prompt(writer: Writer) -> None:
    chat = Writer(writer.model, Letters(), lambda text: [1, *text.encode(), 2])  # type: ignore[arg-type]
    assert chat("Say", (), 3)[1] == 5
