"""flows/cli/classify.py: a trained classifier is asked for labels; what it is not given is a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_lake.store.lake import Lake
from flows.cli.main import app
from tasks.training.classify import ClassifyConfig, classify
from tests.tasks.training.classify.test_stage import TINY, ShapeConfig, begun, messages, write


def ask(*given: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["classify", *given])
    return done.exit_code, done.output


def test_it_says_the_label_and_its_probability(home: Path, tmp_path: Path) -> None:
    code, said = ask("claim your prize")
    assert code != 0
    assert "classify" in said
    lake = Lake(home / "lake")
    base = begun.build(lake, ShapeConfig(), {}).artifact
    data = write(tmp_path / "a.jsonl", messages(40))
    classify.build(lake, ClassifyConfig(**{**TINY, "data": (data,)}), {"base": base})
    code, said = ask("claim your prize", "--json")
    assert code == 0, said
    (one,) = json.loads(said)
    assert one["label"] in ("ham", "spam")
    assert one["probability"] == max(one["probabilities"].values())
    assert sum(one["probabilities"].values()) == pytest.approx(1)
    code, said = ask("claim your prize")
    assert said.split() == [one["label"], f"{one['probability']:.3f}"]
    assert "The text is empty" in ask(" ")[1]
    assert "is no classifier" in ask("x", "--model", "begun")[1]
