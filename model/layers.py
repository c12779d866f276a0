"""The blocks: attention and a feed-forward layer, each after a normalisation and with a residual connection.

Shapes: B batch, T positions, S positions of an encoded source, C = d_model. Parameter names are those of
`transformers`' Llama.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import Attention, Reach
from model.cache import KVCache
from model.norms import norm_of
from model.shape import GPTConfig


class SwiGLU(nn.Module):
    """Gated feed-forward layer of llama and qwen3: down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, C)."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class GELU(nn.Module):
    """Feed-forward layer of gpt2: down(gelu(up(x))), with the tanh approximation that its weights were trained with."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.d_model, config.d_ff)
        self.down_proj = nn.Linear(config.d_ff, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, C) to (B, T, C)."""
        return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))


class Block(nn.Module):
    """One transformer block; with `reads_source`, it also attends to an encoded source text (Vaswani et al. 2017)."""

    def __init__(self, config: GPTConfig, layer: int, *, reads_source: bool = False) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = norm_of(config)
        self.self_attn = Attention(config, layer)
        self.cross_attn_layernorm = norm_of(config) if reads_source else None
        self.cross_attn = Attention(config, layer) if reads_source else None
        self.post_attention_layernorm = norm_of(config)
        self.mlp: nn.Module = GELU(config) if config.family == "gpt2" else SwiGLU(config)

    def forward(
        self,
        x: Tensor,
        reach: Reach,
        cache: KVCache | None,
        memory: Tensor | None = None,
        source: Reach | None = None,
    ) -> Tensor:
        """Map (B, T, C) to (B, T, C). memory (B, S, C) is an encoded source text, `source` what is seen of it."""
        x = x + self._dropped(self.self_attn(self.input_layernorm(x), reach, cache))
        if self.cross_attn is not None and self.cross_attn_layernorm is not None:
            assert memory is not None, "an encoder-decoder needs a source text"
            assert source is not None
            x = x + self._dropped(self.cross_attn.read(self.cross_attn_layernorm(x), memory, source, cache))
        return x + self._dropped(self.mlp(self.post_attention_layernorm(x)))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x
