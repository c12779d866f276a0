"""Checkpoints: complete or absent, checked before use, the newest two kept.

Weights are safetensors (no code runs on loading), the optimizer's state is read with `weights_only=True`. A checkpoint
is written under a temporary name, flushed to disk and renamed; its `checkpoint.json` holds each file's sha256. So a
checkpoint half-written when the process died never gets its final name, and one damaged on disk is detected and the
previous one is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.files import flush
from model.folder import WEIGHTS
from model.memory import out_of_memory

STATE, SEAL = "state.pt", "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """A training state: the weights, everything else as plain values and tensors, and the step to continue with."""

    step: int
    weights: dict[str, torch.Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run: `folder/step-00000120/`, the newest `keep` of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def save(self, step: int, weights: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> Path:
        """Write the state before step `step`; on return it is complete on disk under its final name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        final = self.folder / f"step-{step:08d}"
        part = self.folder / f".part-{step:08d}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, part / WEIGHTS)
        torch.save(dict(state), part / STATE)
        hashes = {name: _sha256(part / name) for name in (WEIGHTS, STATE)}
        (part / SEAL).write_text(json.dumps({"step": step, "sha256": hashes}, indent=2))
        for path in part.iterdir():
            flush(path)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(part, final)
        flush(self.folder)
        self._forget_old()
        return final

    def steps(self) -> list[int]:
        """Steps of the checkpoints with a final name, newest first; loading checks whether they are intact."""
        found = [path.name.removeprefix("step-") for path in self.folder.glob("step-*")]
        return sorted((int(number) for number in found if number.isdigit()), reverse=True)

    def load_newest(self, warn: Callable[[str], None] = lambda _: None) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None; `warn` gets a sentence about each damaged one skipped."""
        for step in self.steps():
            path = self.folder / f"step-{step:08d}"
            try:
                return self._read(path, step)
            except (OSError, ValueError, KeyError, RuntimeError, EOFError, SafetensorError) as error:
                if out_of_memory(error):  # it may be whole
                    raise
                warn(f"The checkpoint {path.name} is damaged ({error}); training continues from the one before it.")
        return None

    def _read(self, path: Path, step: int) -> Checkpoint:
        seal = json.loads((path / SEAL).read_text())
        for name, expected in seal["sha256"].items():
            if _sha256(path / name) != expected:
                raise ValueError(f"{name} does not have the content that {SEAL} names")
        state = torch.load(path / STATE, map_location="cpu", weights_only=True)
        return Checkpoint(step, load_file(path / WEIGHTS), state)

    def _forget_old(self) -> None:
        for step in self.steps()[self.keep :]:
            shutil.rmtree(self.folder / f"step-{step:08d}", ignore_errors=True)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
