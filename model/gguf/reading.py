"""The weights of a GGUF file, turned back into our network by the reference code of the package gguf."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from model.gguf.tensors import state_of
from model.gpt import GPT
from model.shape import GPTConfig


def read_gguf(path: Path, config: GPTConfig) -> GPT:
    """Return a network of this shape with the weights of a file, in float32 and eval mode."""
    import gguf

    tensors = {
        tensor.name: torch.from_numpy(np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type)))
        for tensor in gguf.GGUFReader(path).tensors
    }
    model = GPT(config)
    state = state_of(tensors, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state[name].view_as(parameter))
    return model.eval()
