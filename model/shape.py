"""The shape of a network: its family, its sizes and its vocabulary. Separate from the code that builds it, so that
checking a recipe or printing a plan does not import torch.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from model.presets import PRESETS
from model.settings import Settings

Family = Literal["llama", "qwen3", "gpt2"]
Network = Literal["decoder", "encoder", "encoder-decoder"]


class RopeScaling(Settings):
    """How Llama 3.1 stretches its rotary positions: slow frequencies are divided, fast ones stay as they are."""

    factor: float = Field(8.0, ge=1, description="divisor of the slow frequencies")
    low_freq_factor: float = Field(1.0, gt=0, description="wavelengths above original / this are slow")
    high_freq_factor: float = Field(4.0, gt=0, description="wavelengths below original / this are fast")
    original_max_seq_len: int = Field(8192, ge=1, description="context in tokens before the stretch")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor {self.high_freq_factor} must be greater than low_freq_factor {self.low_freq_factor}."
            )
        return self


class GPTShape(Settings):
    """The shape of a network. Each family is exactly the published one, so that its weights load elsewhere unchanged.

    llama (Touvron et al. 2023): RMSNorm, SwiGLU, rotary positions, grouped queries. qwen3 (Yang et al. 2025): the same
    with a norm on queries and keys. gpt2 (Radford et al. 2019): LayerNorm, GELU, learned positions, biases, dropout.
    """

    preset: str | None = Field(
        None,
        description=f"a known shape ({', '.join(PRESETS)}); fields given beside it replace its own",
        json_schema_extra={"execution": True},  # a name for other fields: these are in the key
    )
    family: Family = Field("llama", description="style of the blocks: llama, qwen3 or gpt2")
    network: Network = Field(
        "decoder",
        description="decoder = each token sees those before it; encoder = all tokens see each other; encoder-decoder = "
        "a decoder that also sees an encoded source text (Vaswani et al. 2017)",
    )
    n_layer: int = Field(4, ge=1, description="transformer blocks; of an encoder-decoder: those of the decoder")
    n_encoder_layer: int | None = Field(
        None, ge=1, description="blocks of an encoder-decoder's encoder; null = as many as n_layer"
    )
    n_head: int = Field(4, ge=1, description="query heads per block")
    n_kv_head: int = Field(4, ge=1, description="key/value heads per block; divides n_head (grouped-query attention)")
    d_model: int = Field(256, ge=8, description="width of the residual stream")
    d_head: int | None = Field(None, ge=2, description="width of one head; null = d_model / n_head")
    d_ff: int = Field(768, ge=8, description="hidden width of the feed-forward layer")
    max_seq_len: int = Field(256, ge=8, description="longest context in tokens")
    rope_theta: float = Field(10_000.0, gt=0, description="base of the rotary position frequencies; not for gpt2")
    rope_scaling: RopeScaling | None = Field(
        None, description="Llama 3.1's stretched rotary positions; null = as trained; not for gpt2"
    )
    norm_eps: float = Field(1e-5, gt=0, description="epsilon of the normalisation layers")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of activations set to 0 in training, after embedding, attention, each layer"
    )
    tie_embeddings: bool = Field(True, description="use the token embedding as output matrix too")

    @classmethod
    def completed(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Complete the fields that a preset sets."""
        return {**PRESETS.get(given.get("preset") or "", {}), **given}

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.d_head or self.d_model // self.n_head

    @property
    def causal(self) -> bool:
        """Whether a token sees only the tokens before it."""
        return self.network != "encoder"

    @property
    def encoder_layers(self) -> int:
        """Blocks of the encoder beside the decoder; 0 if there is none."""
        return (self.n_encoder_layer or self.n_layer) if self.network == "encoder-decoder" else 0

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str | None) -> str | None:
        if preset is not None and preset not in PRESETS:
            raise ValueError(f"There is no preset {preset!r}; there are {', '.join(PRESETS)}.")
        return preset

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.d_head is None and self.d_model % self.n_head:
            raise ValueError(
                f"d_model {self.d_model} is not divisible by n_head {self.n_head}; make it a multiple, or set d_head."
            )
        if self.n_head % self.n_kv_head:
            raise ValueError(f"n_head {self.n_head} is not divisible by n_kv_head {self.n_kv_head}; choose a divisor.")
        if self.family != "gpt2" and self.head_dim % 2:
            raise ValueError(f"The head width d_model / n_head = {self.head_dim} is odd; rotary positions need pairs.")
        return self

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if self.family == "gpt2":
            if self.n_kv_head != self.n_head:
                raise ValueError(
                    f"gpt2 has as many key/value heads as heads: set n_kv_head to {self.n_head}, not {self.n_kv_head}."
                )
            if self.rope_theta != 10_000.0 or self.rope_scaling is not None:
                raise ValueError("gpt2 has learned positions: leave out rope_theta and rope_scaling.")
        if self.n_encoder_layer is not None and self.network != "encoder-decoder":
            raise ValueError(f"n_encoder_layer means nothing for a network of kind {self.network}; leave it out.")
        return self


class GPTConfig(GPTShape):
    """A shape together with its vocabulary size: all that is needed to build the network."""

    vocab_size: int = Field(ge=2, description="token ids are 0 … vocab_size - 1; special tokens included")
