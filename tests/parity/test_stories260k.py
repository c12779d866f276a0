"""Parity with Llama: the published 260 K weights write the story that llama2.c writes, letter for letter."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from model.generate import generate
from model.gpt import GPT
from model.shape import GPTConfig

pytestmark = [pytest.mark.parity, pytest.mark.shared]

BOS = 1


def load_llama2c(path: Path) -> GPT:
    """Read a llama2.c `.bin` (version 0: seven int32, then float32 weights in a fixed order)."""
    data = path.read_bytes()
    dim, hidden, n_layers, n_heads, n_kv_heads, vocab, context = struct.unpack("<7i", data[:28])
    numbers = np.frombuffer(data, dtype="<f4", offset=28)
    at = 0

    def take(*shape: int) -> torch.Tensor:
        nonlocal at
        size = int(np.prod(shape))
        part = torch.from_numpy(numbers[at : at + size].copy()).view(*shape)
        at += size
        return part

    def half_split(weights: torch.Tensor, heads: int) -> torch.Tensor:
        # llama2.c turns neighbouring pairs, transformers (and this model) the two halves of a head
        layers, _, width = weights.shape
        return weights.view(layers, heads, -1, 2, width).transpose(2, 3).reshape(layers, -1, width)

    kv = dim // n_heads * n_kv_heads
    config = GPTConfig(
        vocab_size=abs(vocab), n_layer=n_layers, n_head=n_heads, n_kv_head=n_kv_heads, d_model=dim, d_ff=hidden,
        max_seq_len=context, norm_eps=1e-5, tie_embeddings=vocab > 0,
    )  # fmt: skip
    embedding = take(abs(vocab), dim)
    stacked = {
        "input_layernorm": take(n_layers, dim),
        "self_attn.q_proj": half_split(take(n_layers, dim, dim), n_heads),
        "self_attn.k_proj": half_split(take(n_layers, kv, dim), n_kv_heads),
        "self_attn.v_proj": take(n_layers, kv, dim),
        "self_attn.o_proj": take(n_layers, dim, dim),
        "post_attention_layernorm": take(n_layers, dim),
        "mlp.gate_proj": take(n_layers, hidden, dim),
        "mlp.down_proj": take(n_layers, dim, hidden),
        "mlp.up_proj": take(n_layers, hidden, dim),
    }
    state = {f"layers.{i}.{name}.weight": part[i] for name, part in stacked.items() for i in range(n_layers)}
    model = GPT(config)
    model.load_state_dict({**state, "embed_tokens.weight": embedding, "norm.weight": take(dim)})
    return model.eval()


def read_vocabulary(path: Path) -> list[bytes]:
    data, at, tokens = path.read_bytes(), 4, []
    while at < len(data):
        (length,) = struct.unpack_from("<i", data, at + 4)
        tokens.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return tokens


def test_the_story_is_the_published_one(shared_data: Path) -> None:
    folder = shared_data / "11_reference_models"
    model = load_llama2c(folder / "DaveBben__esp32-llm" / "data" / "stories260K.bin")
    vocabulary = read_vocabulary(folder / "DaveBben__esp32-llm" / "data" / "tok512.bin")
    document = (folder / "karpathy__llama2.c" / "doc" / "stories260K.md").read_text()
    story = document.split("-t 0.0\n", 1)[1].split("```", 1)[0].strip()
    ids = generate(model, [BOS], 256).ids
    written = b"".join(vocabulary[token] for token in ids).replace(b"<0x0A>", b"\n").decode().strip()
    assert story[:300] == written[:300]
    assert len(written) > 400
