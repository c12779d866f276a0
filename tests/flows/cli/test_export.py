"""`textmill export`: a model of the lake as a folder, whole or not at all, and never over something else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data_lake.store.lake import Artifact, Lake
from model.gpt import GPT
from model.huggingface import export as writing
from model.shape import GPTConfig
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.training.written import write_model
from tests.model.vocabulary.small_models import learned_pairs
from tests.terminal import data, notes, textmill


@stage(makes=kinds.Model, version=1)
def pretrain(config: StageConfig, out: Output) -> None:
    """Write a model that has learned nothing."""
    tokenizer = learned_pairs(vocab_size=300)
    shape = GPTConfig(vocab_size=tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, d_model=16, max_seq_len=32)
    write_model(out, GPT(shape).initialise(0), tokenizer, [])


@pytest.fixture
def model(home: Path) -> Artifact:
    """The model, in this test's home."""
    return pretrain.build(Lake(home / "lake"), StageConfig(), {}).artifact


def test_a_model_leaves(model: Artifact, tmp_path: Path) -> None:
    made = data("export", "pretrain", "--to", str(tmp_path / "out"))
    assert made["artifact"] == model.name
    [told] = made["formats"]
    assert (told["format"], told["difference"], told["bits_per_byte_lost"]) == ("hf", 0, None)
    assert told["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").iterdir() if path.suffix != ".md")
    assert set(made["files"]) >= {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == made["files"]
    (tmp_path / "empty").mkdir()
    assert "read again, its logits differ by 0 at most" in notes(
        "export", "--to", str(tmp_path / "empty"), "--format", "hf"
    )
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


@pytest.mark.parity
def test_several_formats_make_a_folder_each(model: Artifact, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    told = notes("export", "--format", "hf", "--format", "gguf-f16", "--to", str(tmp_path / "out"))
    assert re.search(r"as gguf-f16 \(0\.\d MB\); read again, its log-probabilities differ by \S+ at most", told)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["gguf-f16", "hf"]
    assert {path.name for path in (tmp_path / "out" / "gguf-f16").iterdir()} == {
        "Modelfile", "README.md", "model-f16.gguf",
    }  # fmt: skip


def test_formats_that_cannot_be_written_are_refused(
    model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = textmill("export", "--format", "gguf-q9", "--to", str(tmp_path / "out"), code=2)
    assert "There is no format 'gguf-q9'; there are hf, gguf-f32" in told
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = textmill("export", "--format", "gguf-q8_0", "--to", str(tmp_path / "out"), code=2)
    assert "needs gguf and xllamacpp" in told
    assert not (tmp_path / "out").exists()
