"""model/batches.py: windows become shifted targets, batches split by rows, the prefetcher keeps order and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.batches import Batch, Prefetcher, Rollouts
from model.losses import IGNORE


def test_windows_are_shifted_by_one() -> None:
    batch = Batch.of_windows(np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint16))
    assert batch.inputs.tolist() == [[1, 2], [4, 5]]
    assert batch.targets.tolist() == [[2, 3], [5, 6]]
    assert batch.n_valid == 4


def test_splitting_keeps_every_row_once() -> None:
    targets = torch.tensor([[1, IGNORE], [2, 3], [IGNORE, IGNORE]])
    batch = Batch(torch.arange(6).view(3, 2), targets)
    parts = list(batch.split(2))
    assert [part.n_valid for part in parts] == [3, 0]
    assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)
    assert len(list(batch.split(0))) == 1


def test_the_prefetcher_keeps_order_and_passes_errors_on() -> None:
    def batch_of(step: int) -> Batch:
        if step == 3:
            raise OSError("the disk is gone")
        return Batch(torch.full((1, 1), step), torch.full((1, 1), step))

    with Prefetcher(batch_of, 1, 5) as batches:
        assert [int(batches.take(step).inputs) for step in (1, 2)] == [1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            batches.take(3)


def test_padding_is_no_token() -> None:
    batch = Batch(torch.zeros(3, 5), torch.zeros(3, 5), torch.tensor([5, 2, 1]))
    assert batch.n_tokens == 8
    assert [part.n_tokens for part in batch.split(2)] == [7, 1]
    assert batch.to(torch.device("cpu")).n_tokens == 8
    assert Batch(torch.zeros(3, 5), torch.zeros(3, 5)).n_tokens == 15


def test_rows_of_a_group_stay_together_with_their_facts() -> None:
    batch = Batch(torch.zeros(6, 2), torch.zeros(6, 2), facts={"row": torch.arange(6)}, count=3, group=2)
    assert [part.facts["row"].tolist() for part in batch.split(3)] == [[0, 1], [2, 3], [4, 5]]
    assert [part.facts["row"].tolist() for part in batch.split(1)] == [[0, 1], [2, 3], [4, 5]]
    assert [part.facts["row"].tolist() for part in batch.split(5)] == [[0, 1, 2, 3], [4, 5]]
    assert {part.count for part in batch.split(2)} == {3}


def test_rollouts_are_made_once_a_phase() -> None:
    asked: list[int] = []

    def batches_of(step: int) -> list[Batch]:
        asked.append(step)
        return [Batch(torch.full((1, 1), step + place), torch.zeros(1, 1)) for place in range(2)]

    with Rollouts(batches_of, phase=2) as batches:
        assert [int(batches.take(step).inputs) for step in range(2, 6)] == [2, 3, 4, 5]
        assert asked == [2, 4]
        assert [batches.whole(done) for done in (2, 3, 4)] == [True, False, True]
    with pytest.raises(ValueError, match="A phase has 3 steps, but 2 batches"):
        Rollouts(batches_of, phase=3).take(0)
