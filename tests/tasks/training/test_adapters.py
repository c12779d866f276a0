"""tasks/training/adapters.py: whether an adapter fits is known from the shape, and the shape of the network agrees."""

from __future__ import annotations

import pytest
from torch import nn

from model.adapter import Adapter
from model.gpt import GPT
from model.shape import GPTConfig
from tasks.training.adapters import adapter_faults, narrow_sides

LLAMA = GPTConfig(vocab_size=20, n_layer=1, n_head=4, n_kv_head=2, d_model=32, d_head=4, d_ff=24)
GPT2 = GPTConfig(vocab_size=20, family="gpt2", n_layer=1, n_head=4, n_kv_head=4, d_model=32, d_ff=24)


@pytest.mark.parametrize("shape", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_the_sides_are_those_of_the_network(shape: GPTConfig) -> None:
    found = {
        name.rpartition(".")[2]: min(module.in_features, module.out_features)
        for name, module in GPT(shape).named_modules()
        if isinstance(module, nn.Linear)
    }
    assert narrow_sides(shape) == found


def test_what_does_not_fit_is_said() -> None:
    (fault,) = adapter_faults("sft.adapter", Adapter(rank=9), LLAMA)
    assert fault.field == "sft.adapter.rank"
    assert "The rank 9 is more than k_proj can have, whose narrower side is 8" in fault.reason
    assert not [*adapter_faults("sft.adapter", Adapter(rank=9, targets=("q_proj", "up_proj")), LLAMA)]
    (fault,) = adapter_faults("sft.adapter", Adapter(targets=("gate_proj",)), GPT2)
    assert (fault.field, "has none of gate_proj; it has down_proj" in fault.reason) == ("sft.adapter.targets", True)
    assert not [*adapter_faults("sft.adapter", None, LLAMA)]
    assert not [*adapter_faults("sft.adapter", Adapter(rank=999), None)]
