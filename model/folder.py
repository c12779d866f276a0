"""The folder of a finished model: its weights as safetensors (no code runs on loading) and `model.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from model.files import whole_path
from model.gpt import GPT
from model.headed import Headed
from model.memory import out_of_memory
from model.quantisation import Quantisation
from model.quantising import emptied
from model.shape import GPTConfig

WEIGHTS, CONFIG = "model.safetensors", "model.json"


def save_model(model: GPT, folder: Path, **facts: Any) -> None:
    """Write weights and `model.json` (config and `facts`, such as the tokenizer's sha256) into `folder`, atomically."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with whole_path(folder / WEIGHTS) as path:
        save_file(weights, path, metadata={"format": "pt"})
        path.chmod(0o644)  # safetensors makes files that only their owner can read
    described = {"architecture": model.config.family, "config": model.config.model_dump(), **facts}
    if model.quantisation is not None:
        described["quantisation"] = model.quantisation.model_dump()
    if isinstance(model, Headed):
        described["head"] = {"outputs": model.outputs, "pooling": model.pooling}
    with whole_path(folder / CONFIG) as path:
        path.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")


def load_model(folder: Path, device: str | torch.device = "cpu") -> tuple[GPT, dict[str, Any]]:
    """Read a language model that `save_model` wrote; return it in eval mode, and all of `model.json`.

    Raises FileNotFoundError if a file is missing and ValueError, naming the file, if it is damaged or has a head.
    """
    described = _described(folder)
    if "head" in described:
        raise ValueError(f"The model in {folder} has a head for labels or rewards, and writes no text.")
    return _loaded(folder, device, described, lambda config: GPT(config)), described


def load_headed(folder: Path, device: str | torch.device = "cpu") -> tuple[Headed, dict[str, Any]]:
    """Read a network with a head that `save_model` wrote; as `load_model`."""
    described = _described(folder)
    if "head" not in described:
        raise ValueError(f"The model in {folder} has no head; train one with classify or reward.")
    return _loaded(folder, device, described, lambda config: Headed(config, **described["head"])), described


_N = TypeVar("_N", bound=GPT)


def _described(folder: Path) -> dict[str, Any]:
    for name in (WEIGHTS, CONFIG):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} is not a model folder: {name} is missing. Name one that a training stage made."
            )
    try:
        described: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        return described
    except ValueError as error:
        raise ValueError(f"The model in {folder} cannot be loaded ({error}); build it again.") from error


def _loaded(
    folder: Path, device: str | torch.device, described: dict[str, Any], network: Callable[[GPTConfig], _N]
) -> _N:
    try:
        model = network(GPTConfig(**described["config"]))
        if "quantisation" in described:
            emptied(model, Quantisation(**described["quantisation"]))
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise ValueError(f"The model in {folder} cannot be loaded ({error}); build it again.") from error
    return model.to(device).eval()
