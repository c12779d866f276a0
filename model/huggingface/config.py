"""config.json and GPTConfig, each made from the other; a model that is not exactly one of ours is refused, with why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from model.huggingface.folder import NoModelFolder
from model.shape import GPTConfig, RopeScaling

ARCHITECTURES = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
"""The class of `transformers` that computes the same as a family."""
SUPPORTED = "gpt2, llama, mistral without a sliding window, and qwen3"
_FAMILIES = {"gpt2": "gpt2", "llama": "llama", "mistral": "llama", "qwen3": "qwen3"}
_TANH_GELUS = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
_MOST = {"n_layer": 1024, "num_hidden_layers": 1024}
_MOST_OTHERS = 1 << 24


def config_from(described: Mapping[str, Any]) -> GPTConfig:
    """Return the config of the model that a config.json describes; raises NoModelFolder with every reason against it.

    Dropout is left out: how a model was trained does not say how it should be trained further.
    """
    kind = described.get("model_type")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        named = " (" + ", ".join(map(str, _texts(described.get("architectures")))) + ")"
        raise NoModelFolder(
            f"config.json describes a model of the type {kind!r}{named if len(named) > 3 else ''}, which cannot be "
            f"imported. The types that can: {SUPPORTED}."
        )
    read = _Reader(described)
    fields = _gpt2(read) if kind == "gpt2" else _llama(read, kind)
    read.none("quantization_config", "its weights are quantised; import the model that they were made from")
    for name in _texts(described.get("architectures")):
        if not name.endswith(("ForCausalLM", "LMHeadModel", "Model")):
            read.problem(
                "architectures", name, "only language models can be imported, such as " + ARCHITECTURES["llama"]
            )
    if not read.problems:
        try:
            return GPTConfig(family=_FAMILIES[kind], **fields)
        except ValidationError as error:
            read.problems += [f"{one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
    raise NoModelFolder("config.json describes a model that cannot be imported: " + "; ".join(read.problems) + ".")


def config_to(config: GPTConfig, **ids: int | None) -> dict[str, Any]:
    """Return the config.json of a model, readable by `transformers` 4 and 5; `ids` are those of special tokens.

    Raises ValueError for a network that is no decoder.
    """
    if config.network != "decoder":
        raise ValueError(
            f"A network of the kind {config.network} has no counterpart in transformers; only decoders do."
        )
    described: dict[str, Any] = {
        "architectures": [ARCHITECTURES[config.family]],
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_embeddings,
        "torch_dtype": "float32",
        **{f"{name}_token_id": number for name, number in ids.items()},
    }
    if config.family == "gpt2":
        return {
            **described,
            "n_positions": config.max_seq_len,
            "n_embd": config.d_model,
            "n_layer": config.n_layer,
            "n_head": config.n_head,
            "n_inner": config.d_ff,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": config.norm_eps,
            **dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), config.dropout),
        }
    return {
        **described,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layer,
        "num_attention_heads": config.n_head,
        "num_key_value_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": config.max_seq_len,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": _scaling_to(config.rope_scaling),
        "attention_bias": False,
        "attention_dropout": 0.0,
        **({"mlp_bias": False} if config.family == "llama" else {"use_sliding_window": False, "sliding_window": None}),
    }


class _Reader:
    """Reads fields of a config.json, and collects what is wrong with them."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.described = described
        self.problems: list[str] = []

    def problem(self, name: str, value: Any, why: str) -> None:
        """Record a value that cannot be used, and why."""
        shown = repr(value)
        self.problems.append(f"{name} is {shown if len(shown) <= 60 else shown[:57] + '…'}: {why}")

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number above 0; a field that is absent or null has its default."""
        value = self.described.get(name)
        value = default if value is None else value
        most = _MOST.get(name, _MOST_OTHERS)
        if value is None:
            self.problems.append(f"{name} is missing")
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
            self.problem(name, value, f"it must be a whole number from 1 to {most:,}")
        else:
            return value
        return 1

    def real(self, name: str, default: float, within: Mapping[str, Any] | None = None) -> float:
        """Return a finite number above 0."""
        value = (self.described if within is None else within).get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            self.problem(name, value, "it must be a number above 0")
            return 1.0
        return float(value)

    def only(self, name: str, allowed: tuple[Any, ...], why: str, default: Any = None) -> None:
        """Record a problem unless the field has one of the allowed values; an absent one has its default."""
        value = self.described.get(name, default)
        if value not in allowed:
            self.problem(name, value, why)

    def none(self, name: str, why: str) -> None:
        """Record a problem if the field is there."""
        if self.described.get(name):
            self.problem(name, self.described[name], why)


def _gpt2(read: _Reader) -> dict[str, Any]:
    width = read.whole("n_embd", 768)
    read.only("activation_function", _TANH_GELUS, f"only {', '.join(_TANH_GELUS)} are supported", "gelu_new")
    read.only("scale_attn_weights", (True,), "attention weights must be scaled", True)
    read.only("scale_attn_by_inverse_layer_idx", (False, None), "attention scaled by layer is not supported")
    read.only("add_cross_attention", (False, None), "cross-attention is not supported in an import")
    heads = read.whole("n_head", 12)
    return {
        "vocab_size": read.whole("vocab_size", 50257),
        "n_layer": read.whole("n_layer", 12),
        "n_head": heads,
        "n_kv_head": heads,
        "d_model": width,
        "d_ff": read.whole("n_inner", 4 * width),
        "max_seq_len": read.whole("n_positions", 1024),
        "norm_eps": read.real("layer_norm_epsilon", 1e-5),
        "tie_embeddings": _flag(read, "tie_word_embeddings", True),
    }


def _llama(read: _Reader, kind: str) -> dict[str, Any]:
    read.only("hidden_act", ("silu", "swish"), "only silu is supported", "silu")
    read.only("attention_bias", (False, None), "biases in the attention are not supported")
    read.only("mlp_bias", (False, None), "biases in the feed-forward layers are not supported")
    read.only("pretraining_tp", (1, None), "only 1 is supported")
    windowed = kind == "mistral" or (kind == "qwen3" and read.described.get("use_sliding_window"))
    window, positions = read.described.get("sliding_window"), read.whole("max_position_embeddings")
    if windowed and window and not (isinstance(window, int) and window >= positions):  # a wider one has no effect
        read.problem("sliding_window", window, "attention within a sliding window is not supported")
    kinds = set(_texts(read.described.get("layer_types"))) - {"full_attention"}
    if kinds:
        read.problem("layer_types", sorted(kinds), "only full_attention is supported")
    heads, width = read.whole("num_attention_heads"), read.whole("hidden_size")
    head = read.whole("head_dim", 128 if kind == "qwen3" else max(1, width // heads))
    theta, scaling = _rope(read)
    return {
        "vocab_size": read.whole("vocab_size"),
        "n_layer": read.whole("num_hidden_layers"),
        "n_head": heads,
        "n_kv_head": read.whole("num_key_value_heads", heads),
        "d_model": width,
        "d_head": None if head * heads == width else head,
        "d_ff": read.whole("intermediate_size"),
        "max_seq_len": positions,
        "rope_theta": theta,
        "rope_scaling": scaling,
        "norm_eps": read.real("rms_norm_eps", 1e-6),
        "tie_embeddings": _flag(read, "tie_word_embeddings", False),
    }


def _rope(read: _Reader) -> tuple[float, RopeScaling | None]:
    """Return the base of the rotary frequencies and how they are scaled; `transformers` 5 keeps both in one place."""
    given = read.described.get("rope_parameters") or read.described.get("rope_scaling") or {}
    if not isinstance(given, Mapping):
        read.problem("rope_parameters", given, "it must be an object")
        return 1.0, None
    theta = read.real("rope_theta", read.real("rope_theta", 10_000.0), given)
    for name, place in (("partial_rotary_factor", read.described), ("partial_rotary_factor", given)):
        if place.get(name) not in (None, 1, 1.0):
            read.problem(name, place[name], "only whole heads can be rotated")
    kind = given.get("rope_type", given.get("type", "default"))
    if kind == "default":
        return theta, None
    if kind != "llama3":
        read.problem("rope_type", kind, "of the scaled rotary positions only llama3 is supported")
        return theta, None
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    if missing := [name for name in names if name not in given]:
        read.problems.append(f"rope_scaling lacks {', '.join(missing)}")
        return theta, None
    factor, low, high, original = (read.real(name, 0.0, given) for name in names)
    return theta, RopeScaling(
        factor=factor, low_freq_factor=low, high_freq_factor=high, original_max_seq_len=int(original)
    )


def _scaling_to(scaling: RopeScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_seq_len,
    }


def _flag(read: _Reader, name: str, default: bool) -> bool:
    value = read.described.get(name)
    value = default if value is None else value
    if not isinstance(value, bool):
        read.problem(name, value, "it must be true or false")
        return default
    return value


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
