"""The network: token embedding, Llama blocks, final norm, output matrix."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import GPTConfig
from model.layers import Block, KVCache, RMSNorm, rotary_table


class GPT(nn.Module):
    """A causal language model of the shape that `GPTConfig` describes."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.lm_head = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.rotary: Tensor
        self.register_buffer("rotary", rotary_table(config), persistent=False)

    def initialise(self, seed: int) -> GPT:
        """Fill the weights from a separate generator and return the model: the same seed gives the same weights.

        Normal with sd 0.02 (GPT-2); the two matrices that write into the residual stream get 0.02 / sqrt(2 n_layer),
        so that its variance does not grow with depth (Radford et al. 2019, § 2.3).
        """
        generator = torch.Generator().manual_seed(seed)
        residual = 0.02 / math.sqrt(2 * self.config.n_layer)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() == 1:
                    parameter.fill_(1.0)
                else:
                    sd = residual if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                    parameter.copy_(torch.empty(parameter.shape).normal_(0.0, sd, generator=generator))
        return self

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embed_tokens.weight.device

    @property
    def output_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits: (vocab_size, d_model)."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the normalised states (B, T, C) of the token ids (B, T), which follow the tokens in `cache`."""
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        if end > self.config.max_seq_len:
            raise ValueError(
                f"A sequence of {end} tokens does not fit the model's context of {self.config.max_seq_len}; shorten it."
            )
        x = self.embed_tokens(ids)
        table = self.rotary[:, start:end]
        for block in self.layers:
            x = block(x, table, cache)
        if cache is not None:
            cache.length = end
        return self.norm(x)

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the logits (B, T, vocab_size) of the token ids (B, T)."""
        return F.linear(self.hidden(ids, cache), self.output_weight)

    def count_parameters(self) -> int:
        """Number of weights; a tied output matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def flops_per_token(self, seq_len: int) -> int:
        """Floating-point operations of a training step per token: forward and backward, attention included.

        torchtitan's convention: 6 × weights that multiply (an untied input embedding does not) + 12 × layers × heads ×
        head width × context. The half that the causal mask skips is counted, recomputation is not.
        """
        weights = self.count_parameters() - (0 if self.lm_head is None else self.embed_tokens.weight.numel())
        attention = 12 * self.config.n_layer * self.config.n_head * self.config.head_dim * seq_len
        return 6 * weights + attention
