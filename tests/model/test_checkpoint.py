"""model/checkpoint.py: whole or absent, the newest two kept, damage found and the older one taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.checkpoint import SEAL, STATE, Checkpoints
from model.folder import WEIGHTS


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


def test_a_checkpoint_for_which_memory_does_not_suffice_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Checkpoints(tmp_path)
    save(store, 5, 10)
    monkeypatch.setattr("model.checkpoint.load_file", lambda _: torch.empty(1 << 60))
    with pytest.raises(RuntimeError, match="memory"):
        store.load_newest()


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
