"""model/checkpoint.py: whole or absent, the newest two kept, damage found and the older one taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model.checkpoint import SEAL, STATE, WEIGHTS, Checkpoints, load_model, save_model
from model.config import GPTConfig
from model.gpt import GPT

TINY = GPTConfig(vocab_size=10, n_layer=1, n_head=2, n_kv_head=1, d_model=8, d_ff=8, max_seq_len=8)


def save(store: Checkpoints, *steps: int) -> None:
    for step in steps:
        store.save(step, {"w": torch.full((3,), float(step))}, {"rng": torch.get_rng_state(), "step": step})


def test_the_newest_comes_back_and_only_two_are_kept(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    assert store.load_newest() is None
    save(store, 5, 10, 15)
    found = store.load_newest()
    assert found is not None
    assert (found.step, found.state["step"], found.weights["w"].tolist()) == (15, 15, [15.0] * 3)
    assert store.steps() == [15, 10]


@pytest.mark.parametrize("name", [WEIGHTS, STATE, SEAL])
@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_damage_falls_back_to_the_older_one(tmp_path: Path, name: str, damage: str) -> None:
    store = Checkpoints(tmp_path)
    save(store, 5, 10)
    path = tmp_path / "step-00000010" / name
    data = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    said: list[str] = []
    found = store.load_newest(said.append)
    assert found is not None
    assert found.step == 5
    assert "step-00000010 is damaged" in said[0]


def test_a_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    save(store, 5)
    half = tmp_path / ".part-00000010"
    half.mkdir()
    (half / WEIGHTS).write_bytes(b"half")
    found = store.load_newest()
    assert found is not None
    assert found.step == 5
    save(store, 10)  # the leftovers are no obstacle
    assert store.steps() == [10, 5]
    assert not half.exists()


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
