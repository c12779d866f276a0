"""model/attention.py: our own attention for short sequences equals torch's, masked or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from model import masks
from model.attention import attend_short


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


@pytest.mark.parametrize("kind", ["all", "padded", "documents"])
def test_masked_attention_equals_torchs(kind: str) -> None:
    torch.manual_seed(0)
    queries, keys, values = (torch.randn(2, 4, 9, 8, requires_grad=True) for _ in range(3))
    mask = {
        "all": None,
        "padded": masks.padded(torch.tensor([9, 4]), 9),
        "documents": masks.same_document(torch.tensor([[0] * 5 + [1] * 4, [0] * 2 + [1] * 6 + [-1]])),
    }[kind]
    ours = attend_short(queries, keys, values, mask, causal=False)
    theirs = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn(2, 4, 9, 8)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (queries, keys, values), upstream),
        torch.autograd.grad(theirs, (queries, keys, values), upstream),
    )


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    queries, keys, values = torch.zeros(1, 1, 4, 8), torch.zeros(1, 1, 4, 8), torch.ones(1, 1, 4, 8)
    drawn = torch.stack([attend_short(queries, keys, values, dropout=0.5) for _ in range(400)])
    assert drawn.std() > 0.1
    assert float(drawn.mean()) == pytest.approx(1.0, abs=0.05)
