"""`textmill run`, `rerun` and `up`: what they hand on, what they say, and how they end. (The runs: tests/e2e.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import flows.run.start
import flows.servers.up
from data_lake.store.lake import Lake
from flows.cli.main import app
from flows.run.start import RunResult
from tests.lakes import commit, documents
from tests.terminal import textmill

DONE = RunResult(True, None, "http://127.0.0.1:1/runs/flow-run/x", None, chat_url="http://127.0.0.1:2")
FAILED = RunResult(False, "The stage clean failed. Nothing is left.", None, None)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, home: Path) -> dict[str, Any]:
    """What was started, and with what; `result` is what comes of it."""
    seen: dict[str, Any] = {"result": DONE}

    def note(name: str) -> Any:
        def start(*arguments: Any, **named: Any) -> Any:
            seen[name] = (*arguments, *named.values())
            return seen["result"]

        return start

    monkeypatch.setattr(flows.run.start, "run_pipeline", note("run"))
    monkeypatch.setattr(flows.run.start, "rerun_stage", note("rerun"))
    monkeypatch.setattr(flows.servers.up, "up", note("up"))
    return seen


def commit_corpus(home: Path, text: str) -> None:
    learned = documents(text).append_column("split", pa.array(["train"]))
    commit(Lake(home / "lake"), "decontaminate", {"documents/part-00000.parquet": learned}, kind="Corpus")


def test_a_run_that_went_well_says_what_is_next(started: dict[str, Any]) -> None:
    done = CliRunner().invoke(app, ["run", "demo", "--until", "dedup", "--force", "clean", "--set", "dedup.rows=7"])
    assert (done.exit_code, done.stdout) == (0, "")
    recipe, until, force = started["run"]
    assert (recipe.dedup.rows, until, force) == (7, ["dedup"], ["clean"])
    for words in ("Next:", "plan --like last", "Prefect: http://127.0.0.1:1/runs", "Chat: http://127.0.0.1:2"):
        assert words in done.stderr  # --like last: a second run with rows=7
    assert "plan demo" in CliRunner().invoke(app, ["run", "demo", "--until", "dedup"]).stderr


def test_what_a_model_is_asked_next_is_of_its_own_corpus(started: dict[str, Any], home: Path) -> None:
    assert "generate" not in CliRunner().invoke(app, ["run", "demo"]).stderr
    text = "Short.\n'Quotes' $HOME and \"more\" of these words\nBread is made of flour and water, and salt."
    commit_corpus(home, text)
    said = CliRunner().invoke(app, ["run", "demo"]).stderr
    assert "generate pretrain 'Bread is made of flour and'" in said
    assert "dedent" not in said


def test_what_is_next_suits_the_kind_of_model(started: dict[str, Any], home: Path) -> None:
    commit_corpus(home, "Bread is made of flour and water, and salt.")
    encoder = CliRunner().invoke(app, ["run", "encoder"]).stderr
    assert "show evaluate_encoder" in encoder
    assert "generate" not in encoder  # an encoder continues no text
    imported = CliRunner().invoke(app, ["run", "demo", "--set", "pretrain=null", "--set", "import_model.folder=gpt2"])
    assert "generate import_model 'Bread is made" in imported.stderr


def test_a_run_that_failed_says_why_and_ends_with_1(started: dict[str, Any]) -> None:
    started["result"] = FAILED
    for command in (["run"], ["rerun", "clean"]):
        said = textmill(*command, code=1)
        assert "The stage clean failed. Nothing is left." in said
        assert "the same command continues from there" in said
        assert "Next:" not in said


def test_a_rerun_is_of_one_stage_or_of_what_follows_too(started: dict[str, Any]) -> None:
    textmill("rerun", "dedup", "demo", "--downstream")
    assert started["rerun"][1:] == ("dedup", True, True)
    textmill("rerun", "dedup")
    assert started["rerun"][1:] == ("dedup", False, True)


def test_up_ends_as_its_servers_did(started: dict[str, Any]) -> None:
    started["result"] = 0
    textmill("up", "demo", "--prefect-port", "0")
    assert started["up"][:3] == ("demo", "127.0.0.1", 0)
    started["result"] = 1
    textmill("up", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "demo", "more"], "more"),
        (["run", "nosuch"], "There is no recipe"),
        (["run", "--force", "tokenise"], "Did you mean tokenize?"),
        (["run", "--until", ""], "There is no stage"),
        (["run", "--set", "crawl.seeds=[["], "--set crawl.seeds=[["),
        (["rerun"], "NODE"),
        (["rerun", "dedupe"], "Did you mean dedup?"),
        (["up", "--prefect-port", "70000"], "--prefect-port"),
        (["up", "no/such.yaml"], "There is no file"),
    ],
)
def test_nothing_is_started_for_wrong_input(started: dict[str, Any], arguments: list[str], words: str) -> None:
    assert words in textmill(*arguments, code=2)
    assert set(started) == {"result"}
