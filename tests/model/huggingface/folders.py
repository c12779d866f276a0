"""Hugging Face folders made without `transformers`, whole or broken in one way, for the tests of reading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from model.gpt import GPT
from model.huggingface.config import config_to
from model.huggingface.weights import weights_for_export
from model.shape import GPTConfig

SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"family": "gpt2"},
    "llama": {"family": "llama", "tie_embeddings": False},
    "qwen3": {"family": "qwen3", "d_head": 6, "rope_theta": 1e6},
}


def config_of(family: str, **changes: Any) -> GPTConfig:
    """Return a small config of a family."""
    sizes = {"vocab_size": 20, "n_layer": 1, "n_head": 2, "n_kv_head": 2, "d_model": 8, "d_ff": 12, "max_seq_len": 16}
    return GPTConfig(**{**sizes, **SHAPES[family], **changes})


def model_of(family: str, **changes: Any) -> GPT:
    """Return a small model of a family."""
    return GPT(config_of(family, **changes)).initialise(0).eval()


def write(folder: Path, family: str = "llama", **changes: Any) -> dict[str, torch.Tensor]:
    """Write a small model's folder; `changes` are those of its config.json. Returns the tensors that it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model_of(family)
    tensors = weights_for_export(model)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_config(folder, {**config_to(model.config), **changes})
    return tensors


def write_config(folder: Path, described: dict[str, Any]) -> None:
    """Write config.json; fields that are ... are left out."""
    kept = {name: value for name, value in described.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept))
