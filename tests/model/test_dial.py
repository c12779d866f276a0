"""model/dial.py: a deeper model is wider and reads more at a lower rate; a small one is as trials found it."""

from __future__ import annotations

import pytest

from model.dial import shape_of, training_of
from model.shape import GPTShape


def test_depth_four_is_the_demo() -> None:
    assert GPTShape(**shape_of(4)) == GPTShape(n_layer=4, n_head=4, n_kv_head=4, d_model=256, d_ff=768, max_seq_len=256)
    found = training_of(4, 0.35)  # as many tokens as the demo reads
    assert 4 <= found["batch_size"] <= 10
    assert 2e-3 <= found["learning_rate"] <= 3e-3


@pytest.mark.parametrize("depth", range(1, 33))
def test_every_depth_is_a_shape(depth: int) -> None:
    shape = GPTShape(**shape_of(depth))
    assert shape.head_dim == 64
    assert shape.d_ff % 256 == 0
    assert shape.max_seq_len <= 2048


def test_all_grows_but_the_rate() -> None:
    depths = (4, 8, 12, 20)
    found = [training_of(depth, 20) for depth in depths]
    rates = [one["learning_rate"] for one in found]
    batches = [one["batch_size"] * shape_of(depth)["max_seq_len"] for one, depth in zip(found, depths, strict=True)]
    assert rates == sorted(rates, reverse=True)
    assert batches == sorted(batches)


def test_tokens_are_as_many_as_asked() -> None:
    shape, found = shape_of(12), training_of(12, 20)
    weights = 12 * (4 * 768**2 + 3 * 768 * 2048)
    assert found["steps"] * found["batch_size"] * shape["max_seq_len"] == pytest.approx(20 * weights, rel=0.01)
