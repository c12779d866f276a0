"""The network: token embedding, blocks, final norm, output matrix; as decoder, encoder, or encoder and decoder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import masks
from model.attention import Reach
from model.cache import KVCache
from model.layers import Block
from model.norms import norm_of
from model.positions import rotary_table
from model.quantisation import Quantisation
from model.quantised import QuantisedMatrix
from model.shape import GPTConfig

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


class GPT(nn.Module):
    """A language model of the shape that `GPTConfig` describes."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.quantisation: Quantisation | None = None
        learned = config.family == "gpt2"
        reads_source = config.network == "encoder-decoder"
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.embed_positions = nn.Embedding(config.max_seq_len, config.d_model) if learned else None
        self.encoder = Encoder(config) if reads_source else None
        self.layers = nn.ModuleList(Block(config, layer, reads_source=reads_source) for layer in range(config.n_layer))
        self.norm = norm_of(config)
        self.lm_head = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.rotary: Tensor | None
        self.register_buffer("rotary", None if learned else rotary_table(config), persistent=False)

    def initialise(self, seed: int) -> GPT:
        """Fill the weights from a separate generator and return the model: the same seed gives the same weights.

        Normal with sd 0.02 (GPT-2); the matrices that write into the residual stream get 0.02 / sqrt(2 n_layer), so
        that its variance does not grow with depth (Radford et al. 2019, § 2.3). Gains are 1, biases 0.
        """
        generator = torch.Generator().manual_seed(seed)
        residual = 0.02 / math.sqrt(2 * self.config.n_layer)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() == 1:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                else:
                    sd = residual if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                    parameter.copy_(torch.empty(parameter.shape).normal_(0.0, sd, generator=generator))
        return self

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embed_tokens.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the states, whatever that of the matrices is."""
        return next(self.norm.parameters()).dtype

    @property
    def output_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits: (vocab_size, d_model)."""
        head = self.embed_tokens if self.lm_head is None else self.lm_head
        return head.dense() if isinstance(head, QuantisedMatrix) else head.weight

    def logits(self, states: Tensor) -> Tensor:
        """Return the logits (…, vocab_size) of states (…, d_model)."""
        head = self.embed_tokens if self.lm_head is None else self.lm_head
        return head.multiply(states) if isinstance(head, QuantisedMatrix) else F.linear(states, head.weight)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the states (B, S, C) of a source text (B, S), in which all tokens see each other.

        mask: as in `hidden`; `masks.padded` hides the padding. Raises ValueError if the network has no encoder.
        """
        if self.encoder is None:
            raise ValueError(f"A network of kind {self.config.network} reads no source text; only an encoder-decoder.")
        self._check_length(ids.shape[1])
        embedded, angles = self._embedded(ids, 0, None)
        return self.encoder(embedded, Reach(angles, mask, causal=False))

    def hidden(
        self,
        ids: Tensor,
        cache: KVCache | None = None,
        *,
        positions: Tensor | None = None,
        mask: Tensor | BlockMask | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the normalised states (B, T, C) of the token ids (B, T), which follow the S - T tokens in `cache`.

        positions: int64 (B, T), where each token stands; None = one after the other, after the cache. mask: bool,
        broadcast to (B, H, T, S), true = may attend, or blocks (`model.flex`); it replaces the causal mask, so it must
        hide the future itself (`model.masks`). memory, memory_mask: what `encode` returned for the source text, and the
        mask it was given.
        """
        start = 0 if cache is None else cache.length
        end = start + ids.shape[1]
        if positions is None:  # with padding between its texts, a cache may have more places than a text has
            self._check_length(end)
        if mask is None and start and ids.shape[1] > 1:
            mask = masks.causal(ids.shape[1], start, ids.device)
        x, angles = self._embedded(ids, start, positions)
        # one new token sees all of the cache, with or without a mask
        reach = Reach(angles, mask, causal=self.config.causal and not start)
        source = Reach(None, memory_mask, causal=False)
        for block in self.layers:
            x = block(x, reach, cache, memory, source)
        if cache is not None:
            cache.length = end
        return self.norm(x)

    def forward(
        self,
        ids: Tensor,
        cache: KVCache | None = None,
        *,
        positions: Tensor | None = None,
        mask: Tensor | BlockMask | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Return the logits (B, T, vocab_size) of the token ids (B, T); the other arguments are those of `hidden`."""
        states = self.hidden(ids, cache, positions=positions, mask=mask, memory=memory, memory_mask=memory_mask)
        return self.logits(states)

    def _check_length(self, length: int) -> None:
        if length > self.config.max_seq_len:
            raise ValueError(
                f"A sequence of {length} tokens does not fit the model's context of {self.config.max_seq_len}; "
                "shorten it."
            )

    def _embedded(self, ids: Tensor, start: int, positions: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the embedded tokens (B, T, C), and the rotary angles of their positions."""
        x, places = self.embed_tokens(ids), slice(start, start + ids.shape[1])
        angles = None
        if self.embed_positions is not None:
            weight = self.embed_positions.weight
            x = x + (weight[places] if positions is None else F.embedding(positions, weight))
        elif self.rotary is not None:
            angles = self.rotary[:, places] if positions is None else self.rotary[:, positions].unsqueeze(2)
        if self.training and self.config.dropout:
            x = F.dropout(x, self.config.dropout)
        return x, angles

    def count_parameters(self) -> int:
        """Number of weights; a tied output matrix counts once."""
        few_bits = sum(module.count for module in self.modules() if isinstance(module, QuantisedMatrix))
        return sum(parameter.numel() for parameter in self.parameters()) + few_bits

    def flops_per_token(self, seq_len: int) -> int:
        """Floating-point operations of a training step per token: forward and backward, attention included.

        torchtitan's convention: 6 × weights that multiply (embeddings that are only looked up do not) + 12 × layers ×
        heads × head width × context. The half that a causal mask skips is counted, recomputation is not.
        """
        looked_up = 0 if self.lm_head is None else self.embed_tokens.weight.numel()
        if self.embed_positions is not None:
            looked_up += self.embed_positions.weight.numel()
        layers = self.config.n_layer + self.config.encoder_layers
        attention = 12 * layers * self.config.n_head * self.config.head_dim * seq_len
        return 6 * (self.count_parameters() - looked_up) + attention


class Encoder(nn.Module):
    """The blocks that read the source text of an encoder-decoder, without a causal mask."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.encoder_layers))
        self.norm = norm_of(config)

    def forward(self, x: Tensor, reach: Reach) -> Tensor:
        """Map embedded tokens (B, S, C) to their states (B, S, C)."""
        for block in self.layers:
            x = block(x, reach, None)
        return self.norm(x)
