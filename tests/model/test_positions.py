"""model/positions.py: rotary positions turn as Llama's do, and are stretched as Llama 3.1's."""

from __future__ import annotations

import math

import pytest
import torch

from model.positions import rotary_table, rotate, stretched
from model.shape import GPTConfig, RopeScaling


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


def test_slow_frequencies_are_stretched_and_fast_ones_stay() -> None:
    scaling = RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_seq_len=100)
    turns = torch.tensor([10.0, 4.0, 2.5, 1.0, 0.1], dtype=torch.float64)  # within the original context
    found = stretched(turns * 2 * math.pi / 100, scaling) / (turns * 2 * math.pi / 100)
    assert found.tolist() == pytest.approx([1, 1, (1 + 1 / 8) / 2, 1 / 8, 1 / 8])


def test_positions_may_differ_from_row_to_row() -> None:
    table = rotary_table(GPTConfig(vocab_size=4, d_model=16, n_head=2, n_kv_head=2, max_seq_len=32))
    x = torch.randn(2, 2, 3, 8)
    own = rotate(x, table[:, torch.tensor([[0, 1, 2], [7, 8, 9]])].unsqueeze(2))
    torch.testing.assert_close(own[0], rotate(x, table[:, :3])[0])
    torch.testing.assert_close(own[1], rotate(x, table[:, 7:10])[1])
