"""The tensors of a GGUF file by their names there, made of a network's weights and turned back into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from model.gpt import GPT
from model.positions import stretched
from model.shape import GPTConfig, RopeScaling

EMBEDDING, OUTPUT, POSITIONS, FREQUENCIES = (
    "token_embd.weight", "output.weight", "position_embd.weight", "rope_freqs.weight",
)  # fmt: skip
_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_WHOLE = {"embed_tokens.weight": EMBEDDING, "embed_positions.weight": POSITIONS, "lm_head.weight": OUTPUT}


def tensors_of(model: GPT) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a network by their names in the file, in float32."""
    state = {name: tensor.detach().float().cpu() for name, tensor in model.state_dict().items()}
    config = model.config
    for theirs, ours in names(config):
        tensor = torch.cat([state[name] for name in ours])
        if config.family == "llama" and theirs.endswith(("attn_q.weight", "attn_k.weight")):
            tensor = _paired(tensor, config.head_dim)
        yield theirs, tensor
    if config.rope_scaling is not None:
        yield FREQUENCIES, frequency_factors(config.rope_scaling, config.rope_theta, config.head_dim)


def state_of(tensors: Mapping[str, Tensor], config: GPTConfig) -> dict[str, Tensor]:
    """Return the weights of our network that a file's tensors are."""
    state: dict[str, Tensor] = {}
    for theirs, ours in names(config):
        tensor = tensors[theirs]
        if config.family == "llama" and theirs.endswith(("attn_q.weight", "attn_k.weight")):
            tensor = _halved(tensor, config.head_dim)
        for name, part in zip(ours, tensor.chunk(len(ours)), strict=True):
            state[name] = part
    return state


def names(config: GPTConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each tensor's name in the file, and the weights of our network that it holds, one under the other.

    A GPT-2 has its queries, keys and values in one, and its output matrix is written although it is the embedding:
    not every program finds it there (llama.cpp #12567).
    """
    parts = ("weight", "bias") if config.family == "gpt2" else ("weight",)
    yield EMBEDDING, ("embed_tokens.weight",)
    if config.family == "gpt2":
        yield POSITIONS, ("embed_positions.weight",)
    for layer in range(config.n_layer):
        here = dict(_PARTS)
        if config.family == "gpt2":
            for part in "qkv":
                del here[f"self_attn.{part}_proj"]
            del here["mlp.gate_proj"]
            for part in parts:
                queries = tuple(f"layers.{layer}.self_attn.{one}_proj.{part}" for one in "qkv")
                yield f"blk.{layer}.attn_qkv.{part}", queries
        if config.family != "qwen3":
            del here["self_attn.q_norm"], here["self_attn.k_norm"]
        for ours, theirs in here.items():
            for part in parts:
                yield f"blk.{layer}.{theirs}.{part}", (f"layers.{layer}.{ours}.{part}",)
    for part in parts:
        yield f"output_norm.{part}", (f"norm.{part}",)
    if not config.tie_embeddings:
        yield OUTPUT, ("lm_head.weight",)
    elif config.family == "gpt2":
        yield OUTPUT, ("embed_tokens.weight",)


def frequency_factors(scaling: RopeScaling, theta: float, head: int) -> Tensor:
    """Return by what each rotary frequency is divided in Llama 3.1's stretched positions: 1 for fast ones."""
    frequencies = theta ** (-torch.arange(0, head, 2, dtype=torch.float64) / head)
    return (frequencies / stretched(frequencies, scaling)).float()


def _paired(tensor: Tensor, head: int) -> Tensor:
    """Return rows of queries or keys with the two that are rotated together side by side, as llama.cpp's Llama does;
    ours are half a head apart."""
    return tensor.view(-1, 2, head // 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _halved(tensor: Tensor, head: int) -> Tensor:
    return tensor.view(-1, head // 2, 2, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)
