"""model/layers.py: our own gradients and attention equal torch's; rotary positions turn as Llama's do."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from model.config import GPTConfig
from model.layers import RMSNorm, attend_short, rotary_table, rotate


def test_rms_norm_and_its_gradient_equal_torchs() -> None:
    torch.manual_seed(0)
    norm = RMSNorm(16, 1e-5)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
    x = torch.randn(3, 5, 16, dtype=torch.float32, requires_grad=True)
    upstream = torch.randn(3, 5, 16)
    ours = torch.autograd.grad(norm(x), (x, norm.weight), upstream)
    theirs = torch.autograd.grad(F.rms_norm(x, (16,), norm.weight, 1e-5), (x, norm.weight), upstream)
    torch.testing.assert_close(norm(x), F.rms_norm(x, (16,), norm.weight, 1e-5))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_short_attention_equals_torchs(kv_heads: int) -> None:
    torch.manual_seed(0)
    queries = torch.randn(2, 4, 9, 8, requires_grad=True)
    keys, values = (torch.randn(2, kv_heads, 9, 8, requires_grad=True) for _ in range(2))
    upstream = torch.randn(2, 4, 9, 8)
    ours = attend_short(queries, keys, values)
    theirs = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (queries, keys, values), upstream),
        torch.autograd.grad(theirs, (queries, keys, values), upstream),
    )


def test_rotation_depends_on_distance_only() -> None:
    table = rotary_table(GPTConfig(vocab_size=4, d_model=16, n_head=2, n_kv_head=2, max_seq_len=32))
    torch.manual_seed(0)
    query, key = torch.randn(8), torch.randn(8)

    def product(i: int, j: int) -> float:
        here = rotate(query.view(1, 1, 1, 8), table[:, i : i + 1])
        there = rotate(key.view(1, 1, 1, 8), table[:, j : j + 1])
        return float((here * there).sum())

    assert math.isclose(product(3, 1), product(20, 18), rel_tol=1e-4)
    assert not math.isclose(product(3, 1), product(9, 1), rel_tol=1e-2)


def test_rotation_is_the_half_split_one_of_transformers() -> None:
    table = rotary_table(GPTConfig(vocab_size=4, d_model=8, n_head=2, n_kv_head=2, max_seq_len=8, rope_theta=100.0))
    turned = rotate(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4), table[:, 2:3]).flatten()
    angles = [2.0, 2.0 / 100**0.5]
    expected = [
        1 * math.cos(angles[0]) - 3 * math.sin(angles[0]),
        2 * math.cos(angles[1]) - 4 * math.sin(angles[1]),
        3 * math.cos(angles[0]) + 1 * math.sin(angles[0]),
        4 * math.cos(angles[1]) + 2 * math.sin(angles[1]),
    ]
    torch.testing.assert_close(turned, torch.tensor(expected))
