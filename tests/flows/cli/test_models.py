"""`textmill generate` and `champion`: right and wrong input, for people and for programs.

Also covers: tasks/delivery/generation.py
Also covers: tasks/training/trained.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.comparing import runs as compare
from model.shape import GPTConfig
from model.tokenizer import Tokenizer, specials_after
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.tracking import watch
from tasks.training.train import write_model
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.comparing.test_runs import record
from tests.terminal import notes, textmill


class ModelConfig(StageConfig):
    """Whether the model says that it was taught to answer."""

    chat_template: str | None = None


@stage(makes=kinds.Model, version=1)
def pretrain(config: ModelConfig, out: Output) -> None:
    """Write a model that has learned nothing."""
    from model.gpt import GPT

    tokenizer = Tokenizer({bytes([b]): b for b in range(256)}, r"\s+|\S+", specials_after(256, 8))
    shape = GPTConfig(
        vocab_size=tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, d_model=16, d_ff=32, max_seq_len=32
    )
    write_model(out, GPT(shape).initialise(0), tokenizer, [], config.chat_template)


@pytest.fixture
def model(home: Path) -> Artifact:
    """The model, in this test's home."""
    return pretrain.build(Lake(home / "lake"), ModelConfig(), {}).artifact


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[compare.PipelineRecord]:
    """Two runs that MLflow knows."""
    older = record("aaaa" * 8, "old", parameters={"dedup.threshold": "0.8"}, metrics={"acc": 0.5, "steps": 9.0})
    newer = record(
        "bbbb" * 8,
        "new",
        parameters={"dedup.threshold": "[red]0.7"},
        metrics={"acc": 0.25, "steps": 9.0},
        artifacts={"dedup": "dedup/0000"},
    )
    monkeypatch.setattr(compare, "pipeline_runs", lambda home: [newer, older])
    return [newer, older]


# -- generate ----------------------------------------------------------------------------------------------------------


def test_the_same_seed_says_the_same(model: Artifact) -> None:
    arguments = ("generate", "pretrain", "a mill", "--max-tokens", "5", "--temperature", "1", "--seed", "3")
    assert textmill(*arguments) == textmill(*arguments)
    assert textmill("generate", model.name, "-", "--max-tokens", "3", stdin="from stdin").endswith("\n")


def test_a_model_is_asked_in_the_chat_template_if_its_folder_says_that_it_was_taught_it(home: Path) -> None:
    def asked(template: str | None) -> str:
        made = pretrain.build(Lake(home / "lake"), ModelConfig(chat_template=template), {}).artifact
        return " ".join(notes("generate", made.name, "a mill", "--max-tokens", "1000").split())

    assert "with the prompt's 7 it" in asked(None)  # <|bos|> and six letters
    assert "with the prompt's 9 it" in asked(CHAT_TEMPLATE)  # and the roles of user and assistant
    strange = pretrain.build(Lake(home / "lake"), ModelConfig(chat_template="chatml"), {}).artifact
    said = textmill("generate", strange.name, "a mill", code=1)
    assert "was taught the chat template 'chatml', which textmill does not know" in " ".join(said.split())


def test_the_prompt_is_kept_and_the_answer_shortened(model: Artifact) -> None:
    answers = [textmill("generate", "pretrain", prompt, "--max-tokens", "1000") for prompt in ("a mill", "the sea")]
    assert answers[0] != answers[1]
    # <|bos|> and six letters leave 25 places, and the last token of an answer needs none
    said = notes("generate", "pretrain", "a mill", "--max-tokens", "1000")
    assert "ends after 26 of 1,000 tokens: with the prompt's 7 it fills the model's context of 32" in " ".join(
        said.split()
    )
    long = " ".join(notes("generate", "pretrain", "x" * 100, "--max-tokens", "3").split())
    assert "prompt has 101 tokens, but the model's context only 32: the first 72 tokens" in long
    assert "ends after" not in long


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pretrain", " "], "The prompt is empty"),
        (["pretrain", "x", "--top-p", "0"], "--top-p 0 leaves no token to sample"),
        (["pretrain", "x", "--device", "abacus"], "abacus"),
        (["pretrain", "x", "--max-tokens", "0"], "--max-tokens"),
        (["pretrain", "x", "--temperature", "inf"], "finite temperature"),
        (["pretrain", "x", "--seed", str(2**64), "--temperature", "1"], "does not fit 64 bits"),
        (["sft", "x"], "The lake has no artifact 'sft': there are artifacts of pretrain"),
    ],
)
def test_what_cannot_be_generated(model: Artifact, arguments: list[str], words: str) -> None:
    assert words in textmill("generate", *arguments, code=2)


def test_an_artifact_without_a_model(lake: Lake) -> None:
    assert "has no model" in textmill("generate", "dedup", "x", code=2)


def test_a_damaged_model_is_not_used(model: Artifact) -> None:
    with (model.path / "model.safetensors").open("ab") as file:
        file.write(b"x")
    assert "`textmill run` builds it again" in textmill("generate", "pretrain", "x", code=2)


# -- champion ----------------------------------------------------------------------------------------------------------


def test_the_champion_is_an_artifact_or_the_last_model_of_a_run(
    model: Artifact, runs: list[compare.PipelineRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(watch, "set_champion", lambda home, artifact: chosen.append(artifact.name) or "mill version 1")
    textmill("champion", "pretrain")
    runs[0].artifacts["pretrain"] = model.name  # type: ignore[index]
    textmill("champion", "last")
    assert chosen == [model.name] * 2


def test_who_cannot_be_the_champion(lake: Lake, runs: list[compare.PipelineRecord]) -> None:
    assert "made no model" in textmill("champion", "old", code=2)
    assert "Nor is it a run" in textmill("champion", "nosuch", code=2)
