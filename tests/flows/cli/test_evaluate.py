"""`textmill evaluate`: what is missing is said before lm-eval is asked; numbers are printed and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.evaluation.harness import run
from tasks.evaluation.harness.run import Measured
from tasks.stage import PermanentError
from tests.terminal import textmill

PIQA = ("--harness", "piqa", "--data", "piqa=valid.jsonl")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Mapping[str, Any], dict[str, Any]]]:
    """What lm-eval is asked; it answers two numbers."""
    calls: list[tuple[str, Mapping[str, Any], dict[str, Any]]] = []

    def answer(artifact: Artifact, tasks: Mapping[str, Any], **more: Any) -> list[Measured]:
        calls.append((artifact.name, tasks, more))
        if more.get("limit") == 13:
            raise PermanentError("No file has it.")
        return [Measured("piqa", "acc", 0.5, 0.25, 4), Measured("piqa", "acc_norm", 0.75, None, 4)]

    monkeypatch.setattr(run, "run_harness", answer)
    return calls


def test_the_numbers_are_printed(model: Artifact, asked: list[Any]) -> None:
    text = textmill("evaluate", "pretrain", *PIQA, "--shots", "2", "--limit", "4")
    assert "0.5000" in text
    assert "0.2500" in text
    assert asked == [(model.name, {"piqa": ["valid.jsonl"]}, {"shots": 2, "limit": 4, "device": "auto"})]
    found = json.loads(textmill("evaluate", "pretrain", *PIQA, "--json"))
    assert found["model"] == model.name
    assert found["results"][1] == {"task": "piqa", "metric": "acc_norm", "value": 0.75, "stderr": None, "n": 4}
    assert "No file has it." in textmill("evaluate", "pretrain", *PIQA, "--limit", "13", code=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--harness", " , ", "--data", "piqa=x"), "--harness names no task"),
        (("--harness", "piqa", "--data", "piqa"), "is not TASK=PATH"),
        (("--harness", "piqa", "--data", "arc_easy=x"), "--data gives files to arc_easy"),
        (("--harness", "piqa,arc_easy", "--data", "piqa=x"), "arc_easy has no files: nothing is fetched"),
    ],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...], said: str, model: Artifact, asked: list[Any]) -> None:
    assert said in " ".join(textmill("evaluate", "pretrain", *arguments, code=2).split())
    assert asked == []


def test_only_a_model_can_be_measured(lake: Lake, asked: list[Any]) -> None:
    assert "is no model" in textmill("evaluate", "dedup", *PIQA, code=2)
