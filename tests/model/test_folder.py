"""model/folder.py: a model comes back as it was, and what is none is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model.folder import WEIGHTS, load_model, save_model
from model.gpt import GPT
from model.shape import GPTConfig

TINY = GPTConfig(vocab_size=10, n_layer=1, n_head=2, n_kv_head=1, d_model=8, d_ff=8, max_seq_len=8)


def test_a_model_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    model = GPT(TINY).initialise(3)
    save_model(model, tmp_path, tokenizer_sha256="ab")
    loaded, described = load_model(tmp_path)
    assert described["tokenizer_sha256"] == "ab"
    assert loaded.config == TINY
    assert not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    assert (tmp_path / WEIGHTS).stat().st_mode & 0o044 == 0o044


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        load_model(tmp_path)
    save_model(GPT(TINY).initialise(0), tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    described["config"]["d_ff"] = 16
    (tmp_path / "model.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_model(tmp_path)
