"""A model whose steps are compiled (`model.kernels`): which ones can be, and their weights as the kernels want them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.gpt import GPT
from model.norms import RMSNorm
from model.paged import KVBlocks

FEW = 32
"""Tokens up to which a pass is compiled: torch multiplies more rows faster."""
LARGE = 1 << 25
"""Weights from which on several cores, which only torch's products use, are worth more than the compiled step."""


@dataclass(frozen=True)
class Compiled:
    """The weights of a model in arrays over all layers, which share their memory with the model's own."""

    weights: tuple[Any, ...]
    vocab_size: int

    @classmethod
    def of(cls, model: GPT) -> Compiled | None:
        """Join the weights of the layers in place; None if the steps of this model cannot be compiled, or need not be.

        Not for a model that is being trained: its weights become parts of larger tensors.
        """
        if not _suits(model):
            return None
        blocks: list[Any] = list(model.layers)
        layers = [(block.self_attn, block.mlp, block) for block in blocks]
        qkv = _joined([[a.q_proj.weight, a.k_proj.weight, a.v_proj.weight] for a, _, _ in layers])
        mix = _joined([[a.o_proj.weight] for a, _, _ in layers])
        gate_up = _joined([[m.gate_proj.weight, m.up_proj.weight] for _, m, _ in layers])
        down = _joined([[m.down_proj.weight] for _, m, _ in layers])
        norms = [norm.weight for _, _, one in layers for norm in (one.input_layernorm, one.post_attention_layernorm)]
        last: Any = model.norm
        gains = _array(torch.stack([*norms, last.weight]))
        head_gains = np.empty((0, 2, model.config.head_dim), np.float32)
        if model.config.family == "qwen3":
            head_gains = _array(torch.stack([torch.stack([a.q_norm.weight, a.k_norm.weight]) for a, _, _ in layers]))
        assert model.rotary is not None
        embedding, head = _array(model.embed_tokens.weight), _array(model.output_weight)
        eps = np.float32(model.config.norm_eps)
        weights = (embedding, head, qkv, mix, gate_up, down, gains, head_gains, _array(model.rotary), eps)
        return cls(weights, model.config.vocab_size)

    def logits(
        self, kv: KVBlocks, ids: np.ndarray, positions: np.ndarray, tables: np.ndarray, ends: np.ndarray
    ) -> Tensor:
        """Read tokens, and return the logits (E, V) after some of them; `kernels.step` says what the arrays are."""
        from model import kernels

        made = np.empty((len(ends), self.vocab_size), np.float32)
        given: Any = (ids, positions, tables, ends, kv.keys.numpy(), kv.values.numpy(), *self.weights, made)
        kernels.step(*given)
        return torch.from_numpy(made)


def _suits(model: GPT) -> bool:
    if model.device.type != "cpu" or model.config.family not in ("llama", "qwen3") or model.encoder is not None:
        return False
    if torch.get_num_threads() > 1 and model.count_parameters() > LARGE:
        return False
    plain = (nn.Linear, nn.Embedding, RMSNorm)
    parts = [module for module in model.modules() if not list(module.children())]
    return all(type(part) in plain and part.weight.dtype == torch.float32 for part in parts)  # type: ignore[union-attr]


@torch.no_grad()
def _joined(groups: list[list[nn.Parameter]]) -> np.ndarray:
    """Return matrices as one array, those of a group one below the other; the parameters become parts of it."""
    every = [one for group in groups for one in group]
    starts = [0, *itertools.accumulate(one.numel() for one in every)]
    first = every[0]
    if all(
        one.data_ptr() == first.data_ptr() + start * first.itemsize for one, start in zip(every, starts, strict=False)
    ):  # joined before, by an engine that has ended
        return _array(
            first.as_strided(
                (len(groups), sum(map(len, groups[0])), first.shape[1]), (starts[-1] // len(groups), first.shape[1], 1)
            )
        )
    whole = torch.stack([torch.cat(list(group)) for group in groups])
    for place, group in zip(whole, groups, strict=True):
        for parameter, part in zip(group, place.split([len(one) for one in group]), strict=True):
            parameter.data = part
    return _array(whole)


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array
