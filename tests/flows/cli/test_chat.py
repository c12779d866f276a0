"""`textmill chat`: a conversation in the terminal, its commands, and what happens when the context is full.

Also covers: tasks/delivery/conversation.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_lake.store.lake import Artifact
from flows.cli.main import app
from tasks.training.trained import CHAT_TEMPLATE
from tests.flows.cli.untrained import untrained
from tests.terminal import textmill


def talk(model: Artifact, *lines: str, options: tuple[str, ...] = ()) -> tuple[str, str]:
    """What a conversation of these lines prints, and what it notes."""
    done = CliRunner().invoke(app, ["chat", model.name, "--device", "cpu", *options], input="\n".join(lines) + "\n")
    assert done.exit_code == 0, done.output
    return done.stdout, " ".join(done.stderr.split())


@pytest.fixture
def model(home: Path) -> Artifact:
    return untrained(home, CHAT_TEMPLATE, context=96)


def test_it_answers_as_generate_does_and_goes_on(model: Artifact) -> None:
    own = textmill("generate", model.name, "hello", "--max-tokens", "8", "--device", "cpu")
    said, noted = talk(model, "hello", "and?", "/history", options=("--max-tokens", "8"))
    assert said.startswith(own)
    assert "> hello" in said
    assert "> and?" in said
    assert "longest answer or the context was reached" in noted
    assert "(geometric mean)" in noted


def test_the_oldest_exchanges_are_forgotten_when_the_context_is_full(model: Artifact) -> None:
    _, noted = talk(model, *["twenty letters, about"] * 4, options=("--max-tokens", "20"))
    assert "exchanges are not seen any more" in noted
    _, noted = talk(model, "x" * 200, "short", options=("--max-tokens", "4"))
    assert "has a context of 96 tokens, but the prompt has" in noted
    assert "(geometric mean)" in noted  # the short one was answered


def test_commands(model: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    _, noted = talk(
        model, "/system be brief", "/set max_tokens 3", "/set temperature -1", "/set warmth 2", "/dance", "/retry",
        "hi",
        "/retry", f"/save {file}", "/back", "/back", "/help", "/set top_p x", "/exit", "never",
    )  # fmt: skip
    for words in (
        "The system says that from now on", "temperature -1", "There is no setting 'warmth'",
        "There is no command /dance",
        "Nothing was said yet", "Without sampling the answer is the same", "Taken back: hi", "/save FILE",
    ):  # fmt: skip
        assert words in noted, words
    messages = json.loads(file.read_text())["messages"]
    assert [one["role"] for one in messages] == ["system", "user", "assistant"]
    assert messages[1]["content"] == "hi"


def test_a_model_that_was_taught_no_chat_goes_on_from_each_message(home: Path) -> None:
    base = untrained(home)
    own = textmill("generate", base.name, "a mill", "--max-tokens", "5", "--device", "cpu")
    said, noted = talk(base, "a mill", options=("--max-tokens", "5"))
    assert said == own
    assert "taught no chat" in noted


def test_what_is_no_model_is_said(home: Path, lake: object) -> None:
    assert "has no model" in textmill("chat", "dedup", code=2)
    assert "only decoders" in " ".join(textmill("chat", untrained(home, network="encoder").name, code=2).split())
