"""`textmill export`: a model of the lake as a folder, whole or not at all, and never over something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_lake.store.lake import Artifact
from model.huggingface import export as writing
from tests.flows.cli.test_models import model as model  # a fixture
from tests.terminal import data, notes, textmill


def test_a_model_leaves(model: Artifact, tmp_path: Path) -> None:
    made = data("export", "pretrain", "--to", str(tmp_path / "out"))
    assert made["artifact"] == model.name
    assert made["logits_difference"] == 0
    assert set(made["files"]) >= {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == made["files"]
    (tmp_path / "empty").mkdir()
    assert "its logits differ by 0 at most" in notes("export", "--to", str(tmp_path / "empty"), "--format", "hf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "home", "out"]


def test_wrong_names_are_refused(model: Artifact, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    assert "is there already" in textmill("export", "--to", str(tmp_path / "full"), code=2)
    assert "is there already" in textmill("export", "--to", str(tmp_path / "full" / "mine.txt"), code=2)
    assert "The lake has no artifact 'sft'" in textmill("export", "sft", "--to", str(tmp_path / "out"), code=2)
    (model.path / "model.json").write_text("{}")
    assert "cannot be used" in textmill("export", "--to", str(tmp_path / "out"), code=2)
    assert not (tmp_path / "out").exists()


def test_an_empty_lake_says_so(home: Path, tmp_path: Path) -> None:
    assert "The lake has no model yet" in textmill("export", "--to", str(tmp_path / "out"), code=2)


def test_what_fails_leaves_nothing_behind(model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TOLERANCE", -1.0)
    assert "cannot be exported" in textmill("export", "--to", str(tmp_path / "out"), code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
