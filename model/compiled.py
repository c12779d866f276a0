"""A model whose steps are compiled: which ones can be, and how the work is divided.

A step of few tokens is one call (`model.kernels`). Of more tokens, oneDNN makes the products (`model.prepacked`), and
the kernels what is between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from model.gpt import GPT
from model.norms import RMSNorm
from model.paged import KVBlocks
from model.prepacked import Prepacked, available

FEW = 32
"""Tokens up to which a pass is compiled where oneDNN does not help: torch multiplies more rows faster."""
LONG = 256
"""New tokens of a text up to which a pass is compiled otherwise: torch's attention is faster for many. A pass over a
prompt of 64 tokens takes 67 ms instead of 92 with 58 million weights, one over 200 tokens 210 instead of 293."""
LARGE = 1 << 25
"""Weights from which on several cores, which only oneDNN's products use, are worth more than a step in one call."""
SEVERAL = 8
"""Tokens from which oneDNN's products are faster than the kernels'. A step of 58 million weights on one core takes 17.0
ms instead of 15.4 for 4 tokens, 22 instead of 30 for 8 and 31 instead of 52 for 16 (77 through torch); one of 4.5
million 2.9 instead of 2.7 for 8 and 3.6 instead of 4.5 for 16 (9.5).
"""
PREPACKED = 1 << 28
"""Weights up to which a second copy of them, as oneDNN wants it, may take memory."""


@dataclass(frozen=True)
class Layer:
    """The matrices of a layer as oneDNN wants them."""

    qkv: Prepacked
    mix: Prepacked
    gate_up: Prepacked
    down: Prepacked


@dataclass(frozen=True)
class Compiled:
    """The weights of a model in arrays over all layers, which share their memory with the model's own."""

    weights: tuple[Any, ...]
    vocab_size: int
    several: int | None
    """Tokens from which oneDNN makes the products; None = never."""

    @classmethod
    def of(cls, model: GPT) -> Compiled | None:
        """Join the weights of the layers in place; None if the steps of this model cannot be compiled, or need not be.

        Not for a model that is being trained: its weights become parts of larger tensors.
        """
        if not _suits(model):
            return None
        made = _MADE.get(model)
        if made is None or made.weights[0].ctypes.data != model.embed_tokens.weight.data_ptr():
            made = _MADE[model] = cls(_joined_weights(model), model.config.vocab_size, _several(model))
        return made

    def suits(self, counts: Sequence[int]) -> bool:
        """Whether a pass over so many new tokens of each text is faster than through torch."""
        return sum(counts) <= FEW if self.several is None else max(counts) <= LONG

    def logits(
        self, kv: KVBlocks, ids: np.ndarray, positions: np.ndarray, tables: np.ndarray, ends: np.ndarray
    ) -> Tensor:
        """Read tokens, and return the logits (E, V) after some of them; `kernels.step` says what the arrays are."""
        if self.several is not None and len(ids) >= self.several:
            return self._by_layers(kv, ids, positions, tables, ends)
        from model import kernels

        made = np.empty((len(ends), self.vocab_size), np.float32)
        given: Any = (ids, positions, tables, ends, kv.keys.numpy(), kv.values.numpy(), *self.weights, made)
        kernels.step(*given)
        return torch.from_numpy(made)

    @cached_property
    def _prepacked(self) -> tuple[list[Layer], Prepacked]:
        """The matrices of the layers and the output matrix, made when the first step wants them."""
        _, head, *matrices = self.weights[:6]
        return [Layer(*map(Prepacked, own)) for own in zip(*matrices, strict=True)], Prepacked(head)

    def _by_layers(
        self, kv: KVBlocks, ids: np.ndarray, positions: np.ndarray, tables: np.ndarray, ends: np.ndarray
    ) -> Tensor:
        from model import kernels

        embedding, _, _, mix, _, down, gains, head_gains, rotary, eps = self.weights
        layers, head = self._prepacked
        keys, values = kv.keys.numpy(), kv.values.numpy()
        count, width = len(ids), keys.shape[-1]
        x = embedding[ids]
        normed = np.empty_like(x)
        mixed = np.empty((count, mix.shape[2] // width, width), np.float32)
        active = np.empty((count, down.shape[2]), np.float32)
        kernels.normalise(x, gains[0], eps, normed)
        for number, layer in enumerate(layers):
            three = layer.qkv.product(normed).reshape(count, -1, width)
            own = (keys[number], values[number], head_gains[number])
            kernels.attention(three, positions, tables, *own, rotary, eps, mixed)
            taken = layer.mix.product(mixed.reshape(count, -1))
            kernels.add_and_normalise(x, taken, gains[2 * number + 1], eps, normed)
            kernels.activate(layer.gate_up.product(normed), active)
            kernels.add_and_normalise(x, layer.down.product(active), gains[2 * number + 2], eps, normed)
        return torch.from_numpy(head.product(normed[ends]))


def _several(model: GPT) -> int | None:
    if not available() or model.count_parameters() > PREPACKED:
        return None
    return 1 if torch.get_num_threads() > 1 and model.count_parameters() > LARGE else SEVERAL


def _suits(model: GPT) -> bool:
    if model.device.type != "cpu" or model.config.family not in ("llama", "qwen3") or model.encoder is not None:
        return False
    if torch.get_num_threads() > 1 and model.count_parameters() > LARGE and _several(model) is None:
        return False
    plain = (nn.Linear, nn.Embedding, RMSNorm)
    parts = [module for module in model.modules() if not list(module.children())]
    return all(type(part) in plain and part.weight.dtype == torch.float32 for part in parts)  # type: ignore[union-attr]


def _joined_weights(model: GPT) -> tuple[Any, ...]:
    blocks: list[Any] = list(model.layers)
    layers = [(block.self_attn, block.mlp, block) for block in blocks]
    qkv = _joined([[a.q_proj.weight, a.k_proj.weight, a.v_proj.weight] for a, _, _ in layers])
    mix = _joined([[a.o_proj.weight] for a, _, _ in layers])
    gate_up = _joined([[m.gate_proj.weight, m.up_proj.weight] for _, m, _ in layers])
    down = _joined([[m.down_proj.weight] for _, m, _ in layers])
    norms = [norm.weight for _, _, one in layers for norm in (one.input_layernorm, one.post_attention_layernorm)]
    last: Any = model.norm
    gains = _array(torch.stack([*norms, last.weight]))
    head_gains = np.empty((len(layers), 0, model.config.head_dim), np.float32)
    if model.config.family == "qwen3":
        head_gains = _array(torch.stack([torch.stack([a.q_norm.weight, a.k_norm.weight]) for a, _, _ in layers]))
    assert model.rotary is not None
    (embedding,) = _joined([[model.embed_tokens.weight]])
    head = embedding if model.lm_head is None else _joined([[model.lm_head.weight]])[0]
    eps = np.float32(model.config.norm_eps)
    return embedding, head, qkv, mix, gate_up, down, gains, head_gains, _array(model.rotary), eps


@torch.no_grad()
def _joined(groups: list[list[Tensor]]) -> np.ndarray:
    """Return matrices as one array, those of a group one below the other; the parameters become parts of it.

    numpy asks for large pages of memory, torch does not: a token of 58 million weights took 12 ms from torch's memory,
    and takes 9 from numpy's.
    """
    whole = np.empty((len(groups), sum(map(len, groups[0])), groups[0][0].shape[1]), np.float32)
    for place, group in zip(torch.from_numpy(whole), groups, strict=True):
        for parameter, part in zip(group, place.split([len(one) for one in group]), strict=True):
            parameter.data = part.copy_(parameter)
    return whole


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


_MADE: WeakKeyDictionary[GPT, Compiled] = WeakKeyDictionary()
"""What was made of each model, so that its next engine holds nothing twice."""
