"""model/losses.py: the fused loss equals the plain one, ignored targets count nothing, bytes are what is divided by."""

from __future__ import annotations

import math

import pytest
import torch

import model.losses as losses
from model.losses import IGNORE, bits_per_byte, cross_entropy_sum, linear_cross_entropy_sum


@pytest.mark.parametrize("ignored", [0, 7])
def test_fused_loss_and_gradients_equal_the_plain_ones(ignored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "CHUNK", 5)  # several chunks and an incomplete one
    torch.manual_seed(0)
    hidden = torch.randn(3, 6, 8, requires_grad=True)
    weight = torch.randn(11, 8, requires_grad=True)
    targets = torch.randint(0, 11, (3, 6))
    targets.view(-1)[:ignored] = IGNORE
    fused = linear_cross_entropy_sum(hidden, weight, targets, torch.float32)
    plain = cross_entropy_sum(hidden @ weight.T, targets)
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(
        torch.autograd.grad(fused / 3, (hidden, weight)), torch.autograd.grad(plain / 3, (hidden, weight))
    )
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy_sum(hidden, weight, targets, torch.float32), plain)


def test_huge_logits_stay_finite() -> None:
    hidden = torch.full((2, 1), 1e4, requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0]])
    assert linear_cross_entropy_sum(hidden, weight, torch.tensor([0, 1]), torch.float32).item() == pytest.approx(2e4)


def test_bits_per_byte() -> None:
    assert bits_per_byte(8 * math.log(2), 4) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="0 bytes"):
        bits_per_byte(1.0, 0)
