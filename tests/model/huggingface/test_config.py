"""model/huggingface/config.py: each family's config.json goes there and back; a model that is none of ours says why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.huggingface.config import config_from, config_to
from model.huggingface.folder import NoModelFolder
from model.shape import GPTConfig, RopeScaling
from tests.model.huggingface.folders import SHAPES, config_of

STRETCHED = RopeScaling(factor=4.0, low_freq_factor=1.0, high_freq_factor=2.0, original_max_seq_len=16)


@given(
    family=st.sampled_from(["llama", "qwen3"]), groups=st.integers(1, 3), keys=st.integers(1, 3),
    layers=st.integers(1, 9),
    head=st.sampled_from([None, 2, 6]), theta=st.floats(1, 1e7), eps=st.floats(1e-8, 1), tied=st.booleans(),
    scaling=st.sampled_from([None, STRETCHED]),
)  # fmt: skip
def test_there_and_back(
    family: str,
    groups: int,
    keys: int,
    layers: int,
    head: int | None,
    theta: float,
    eps: float,
    tied: bool,
    scaling: Any,
) -> None:
    heads = groups * keys
    config = GPTConfig(
        family=family, vocab_size=50, n_layer=layers, n_head=heads, n_kv_head=keys, d_model=8 * heads, d_head=head,
        d_ff=9, max_seq_len=77, rope_theta=theta, norm_eps=eps, tie_embeddings=tied, rope_scaling=scaling,
    )  # fmt: skip
    assert config_from(config_to(config)) == config


def test_there_and_back_for_gpt2() -> None:
    config = config_of("gpt2", norm_eps=1e-3, dropout=0.1)
    described = config_to(config, bos=1, eos=2, pad=3)
    assert [described[f"{name}_pdrop"] for name in ("attn", "embd", "resid")] == [0.1] * 3
    assert [described[f"{name}_token_id"] for name in ("bos", "eos", "pad")] == [1, 2, 3]
    assert config_from(described) == config.model_copy(update={"dropout": 0.0})


def test_absent_fields_have_the_defaults_of_transformers() -> None:
    gpt2 = config_from({"model_type": "gpt2"})
    assert (gpt2.vocab_size, gpt2.n_layer, gpt2.d_model, gpt2.d_ff, gpt2.max_seq_len) == (50257, 12, 768, 3072, 1024)
    assert gpt2.tie_embeddings
    sizes = {"vocab_size": 9, "hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 4, "max_position_embeddings": 8}  # fmt: skip
    llama = config_from({"model_type": "llama", **sizes})
    assert (llama.n_kv_head, llama.head_dim, llama.norm_eps, llama.rope_theta) == (4, 4, 1e-6, 10_000.0)
    assert not llama.tie_embeddings
    assert config_from({"model_type": "qwen3", **sizes}).head_dim == 128


def test_a_window_as_wide_as_the_context_is_none() -> None:
    described = config_to(config_of("llama", max_seq_len=16)) | {"model_type": "mistral"}
    assert config_from(described | {"sliding_window": 16}) == config_of("llama", max_seq_len=16)
    with pytest.raises(NoModelFolder, match="sliding_window is 15"):
        config_from(described | {"sliding_window": 15})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "llama",
        {"model_type": "mamba"},
        r"of the type 'mamba' \(LlamaForCausalLM\), which cannot be imported\. The types",
    ),
    ("llama", {"model_type": ...}, "of the type None"),
    ("llama", {"model_type": ["llama"]}, "of the type"),
    ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "only language models"),
    ("llama", {"quantization_config": {"bits": 4}}, "its weights are quantised"),
    ("llama", {"attention_bias": True}, "attention_bias is True: biases in the attention"),
    ("llama", {"mlp_bias": True}, "biases in the feed-forward"),
    ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu': only silu"),
    ("llama", {"pretraining_tp": 2}, "pretraining_tp is 2"),
    ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_type is 'yarn': .* only llama3"),
    ("llama", {"rope_scaling": {"type": "dynamic", "factor": 4.0}}, "rope_type is 'dynamic'"),
    ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}, "rope_scaling lacks low_freq_factor"),
    ("llama", {"rope_scaling": [4]}, "it must be an object"),
    ("llama", {"partial_rotary_factor": 0.5}, "only whole heads"),
    ("llama", {"model_type": "mistral", "sliding_window": 8}, "sliding_window is 8"),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8}, "sliding window is not supported"),
    ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, r"layer_types is \['sliding_attention'\]"),
    ("gpt2", {"activation_function": "relu"}, "activation_function is 'relu': only gelu_new"),
    ("gpt2", {"activation_function": "gelu"}, "activation_function is 'gelu'"),
    ("gpt2", {"scale_attn_weights": False}, "attention weights must be scaled"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scaled by layer"),
    ("gpt2", {"add_cross_attention": True}, "cross-attention"),
    ("gpt2", {"n_head": 3}, "d_model 8 is not divisible by n_head 3"),
    ("llama", {"hidden_size": ...}, "hidden_size is missing"),
    ("llama", {"hidden_size": "64"}, "hidden_size is '64': it must be a whole number"),
    ("llama", {"num_hidden_layers": 10**9}, "from 1 to 1,024"),
    ("llama", {"num_hidden_layers": True}, "it must be a whole number"),
    ("llama", {"num_key_value_heads": 0}, "it must be a whole number"),
    ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan"),
    ("llama", {"rope_theta": -1}, "rope_theta is -1"),
    ("llama", {"tie_word_embeddings": "yes"}, "it must be true or false"),
]


@pytest.mark.parametrize(("family", "changes", "words"), REFUSED)
def test_another_model_is_refused(family: str, changes: dict[str, Any], words: str) -> None:
    described = {**config_to(config_of(family)), **changes}
    with pytest.raises(NoModelFolder, match=words):
        config_from({name: value for name, value in described.items() if value is not ...})


def test_everything_against_a_model_is_said_at_once() -> None:
    described = config_to(config_of("llama")) | {"attention_bias": True, "hidden_act": "relu", "hidden_size": None}
    with pytest.raises(NoModelFolder, match=r"hidden_act .*; attention_bias .*; hidden_size is missing\.$"):
        config_from(described)


def test_networks_that_transformers_does_not_have_do_not_leave() -> None:
    with pytest.raises(ValueError, match="of the kind encoder has no counterpart"):
        config_to(config_of("llama", network="encoder"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(family=st.sampled_from(sorted(SHAPES)), data=st.data())
def test_no_value_of_a_field_breaks_the_reader(family: str, data: st.DataObject) -> None:
    described = config_to(config_of(family))
    name = data.draw(
        st.sampled_from([*sorted(described), "rope_parameters", "sliding_window", "layer_types", "head_dim"])
    )
    described[name] = data.draw(JSON)
    try:
        assert config_from(described).vocab_size > 1
    except NoModelFolder as error:
        assert str(error).endswith(".")  # noqa: PT017 (either outcome is right)
