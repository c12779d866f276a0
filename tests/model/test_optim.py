"""model/optim.py: decay touches matrices only, and by its own amount."""

from __future__ import annotations

import torch

from model.config import Training
from model.gpt import GPT
from model.optim import build_optimizer
from model.shape import GPTConfig


def test_decay_is_decoupled_and_on_matrices_only() -> None:
    model = GPT(
        GPTConfig(vocab_size=10, n_layer=1, n_head=2, n_kv_head=2, d_model=8, d_ff=8, max_seq_len=8)
    ).initialise(0)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimizer = build_optimizer(model, Training(learning_rate=0.1, weight_decay=0.5))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.state_dict().items():
        shrunk = before[name] * (1 - 0.1 * 0.5) if weight.dim() == 2 else before[name]
        torch.testing.assert_close(weight, shrunk)
