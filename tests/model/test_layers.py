"""model/layers.py: each family has the feed-forward layer it was published with."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from model.layers import GELU, Block, SwiGLU
from model.shape import GPTConfig

SMALL = GPTConfig(vocab_size=50, n_layer=1, n_head=2, n_kv_head=2, d_model=16, d_ff=24, max_seq_len=8)


def test_swiglu_gates_and_gelu_is_the_tanh_approximation() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16)
    gated, plain = SwiGLU(SMALL), GELU(SMALL)
    expected = (F.silu(x @ gated.gate_proj.weight.T) * (x @ gated.up_proj.weight.T)) @ gated.down_proj.weight.T
    torch.testing.assert_close(gated(x), expected)
    up = plain.up_proj(x)
    tanh = 0.5 * up * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (up + 0.044715 * up**3)))
    torch.testing.assert_close(plain(x), plain.down_proj(tanh))


def test_a_family_is_its_parameters() -> None:
    names = {
        family: {name for name, _ in Block(SMALL.model_copy(update={"family": family}), 0).named_parameters()}
        for family in ("llama", "qwen3", "gpt2")
    }
    assert names["qwen3"] - names["llama"] == {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
    assert names["llama"] - names["gpt2"] == {"mlp.gate_proj.weight"}
    assert {name for name in names["gpt2"] if name.endswith("bias")} == {
        name.replace("weight", "bias") for name in names["gpt2"] if name.endswith("weight")
    }
