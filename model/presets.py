"""Known shapes by name: demo sizes, the four GPT-2s, and Llamas from 60 million to a billion weights."""

from __future__ import annotations

from typing import Any

SHAPES_NO_RESULT = "fills configs, whose values are in the key"

Fields = dict[str, Any]


def _llama(n_layer: int, n_head: int, n_kv_head: int, d_ff: int, max_seq_len: int = 2048) -> Fields:
    """Return a Llama with heads of width 64. Widths are multiples of 256, which every quantised format can store."""
    return {
        "family": "llama", "n_layer": n_layer, "n_head": n_head, "n_kv_head": n_kv_head, "d_model": 64 * n_head,
        "d_ff": d_ff, "max_seq_len": max_seq_len,
    }  # fmt: skip


def _gpt2(n_layer: int, n_head: int, d_model: int, max_seq_len: int = 1024) -> Fields:
    """Return a GPT-2 (Radford et al. 2019, table 2): heads of width 64 and a hidden layer of four times the width."""
    return {
        "family": "gpt2", "n_layer": n_layer, "n_head": n_head, "n_kv_head": n_head, "d_model": d_model,
        "d_ff": 4 * d_model, "max_seq_len": max_seq_len, "dropout": 0.1,
    }  # fmt: skip


PRESETS: dict[str, Fields] = {
    # for laptops: minutes on two cores with a vocabulary of 4,096
    "demo": _llama(4, 4, 4, 768, 256),
    "demo-qwen3": {**_llama(4, 4, 4, 768, 256), "family": "qwen3"},
    "demo-gpt2": {**_gpt2(4, 4, 256, 256), "dropout": 0.0},
    "demo-encoder": {**_llama(4, 4, 4, 768, 256), "network": "encoder"},
    "demo-encoder-decoder": {**_llama(3, 4, 4, 768, 256), "network": "encoder-decoder"},
    "gpt2-124m": _gpt2(12, 12, 768),
    "gpt2-355m": _gpt2(24, 16, 1024),
    "gpt2-774m": _gpt2(36, 20, 1280),
    "gpt2-1.5b": _gpt2(48, 25, 1600),
    # named by their weights with a vocabulary of 32,768
    "llama-60m": _llama(12, 8, 8, 1792),
    "llama-120m": _llama(15, 12, 4, 2048),
    "llama-350m": _llama(27, 16, 8, 2816),
    "llama-700m": {**_llama(35, 20, 4, 3584), "tie_embeddings": False},
    "llama-1b": {**_llama(26, 28, 4, 4864), "tie_embeddings": False},
}
