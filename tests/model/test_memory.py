"""model/memory.py: what allocators really raise is recognised, and nothing else."""

from __future__ import annotations

import pytest
import torch

from model.memory import out_of_memory


def test_an_allocator_without_memory_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert out_of_memory(caught.value)
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    assert out_of_memory(MemoryError())


def test_no_other_error_is_taken_for_it() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2) @ torch.ones(3)
    assert not out_of_memory(caught.value)
    assert not out_of_memory(ValueError("DefaultCPUAllocator: not enough memory"))
