"""model/norms.py: our own gradient of RMSNorm equals torch's."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from model.norms import RMSNorm


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
