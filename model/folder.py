"""The folder of a finished model: its weights as safetensors (no code runs on loading) and `model.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.files import whole_path
from model.gpt import GPT
from model.shape import GPTConfig

WEIGHTS, CONFIG = "model.safetensors", "model.json"


def save_model(model: GPT, folder: Path, **facts: Any) -> None:
    """Write weights and `model.json` (config and `facts`, such as the tokenizer's sha256) into `folder`, atomically."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with whole_path(folder / WEIGHTS) as path:
        save_file(weights, path, metadata={"format": "pt"})
        path.chmod(0o644)  # safetensors makes files that only their owner can read
    described = {"architecture": model.config.family, "config": model.config.model_dump(), **facts}
    with whole_path(folder / CONFIG) as path:
        path.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")


def load_model(folder: Path, device: str | torch.device = "cpu") -> tuple[GPT, dict[str, Any]]:
    """Read what `save_model` wrote; return the model in eval mode and all of `model.json`.

    Raises FileNotFoundError if a file is missing and ValueError, naming the file, if it is damaged.
    """
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} is not a model folder: {name} is missing. Name one that a training stage made."
            )
    try:
        described = json.loads((folder / CONFIG).read_text())
        model = GPT(GPTConfig(**described["config"]))
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"The model in {folder} cannot be loaded ({error}); build it again.") from error
    return model.to(device).eval(), described
