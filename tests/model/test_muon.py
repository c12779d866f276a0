"""model/muon.py: torch's own Muon, matrix for matrix, in fewer kernels; updates are orthogonal."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model import muon
from model.muon import Muon, orthogonal

SHAPES = [(16, 16), (24, 16), (16, 24), (16, 24), (24, 16), (1, 9), (9, 1), (16, 16), (40, 8)]


def weights(shapes: list[tuple[int, int]], seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def run(optimizer: torch.optim.Optimizer, moved: list[nn.Parameter], steps: int, first: int = 0) -> list[Tensor]:
    """Do some steps with the same random gradients for everyone; return the weights."""
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(100 + step)
        for weight in moved:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return [weight.detach().clone() for weight in moved]


def assert_as_far(ours: list[Tensor], theirs: list[Tensor], start: list[nn.Parameter], share: float = 0.02) -> None:
    """What the weights moved differs by at most a share of the way: bfloat16 rounds to 3 digits."""
    for one, other, begin in zip(ours, theirs, start, strict=True):
        assert (one - other).norm() <= share * (other - begin).norm()


@settings(max_examples=25, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=6),
    fields=st.fixed_dictionaries(
        {
            "lr": st.sampled_from([0.02, 0.3]),
            "weight_decay": st.sampled_from([0.0, 0.1]),
            "momentum": st.sampled_from([0.0, 0.85, 0.95]),
            "nesterov": st.booleans(),
            "ns_steps": st.integers(1, 5),
            "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]),
        }
    ),
)
def test_it_is_torchs_muon(shapes: list[tuple[int, int]], fields: dict[str, object]) -> None:
    mine, theirs = weights(shapes), weights(shapes)
    ours = run(Muon(mine, **fields), mine, 3)
    assert_as_far(ours, run(torch.optim.Muon(theirs, **fields), theirs, 3), weights(shapes))  # type: ignore[arg-type]


def test_matrices_in_small_batches_move_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = weights(SHAPES), weights(SHAPES)
    together = run(Muon(mine, lr=0.02), mine, 2)
    monkeypatch.setattr(muon, "STACKED", 1)
    assert_as_far(run(Muon(theirs, lr=0.02), theirs, 2), together, weights(SHAPES))


def test_its_state_is_that_of_torchs() -> None:
    mine, theirs, third = weights(SHAPES), weights(SHAPES), weights(SHAPES)
    ours, torchs = Muon(mine, lr=0.02), torch.optim.Muon(theirs, lr=0.02)
    run(ours, mine, 2)
    run(torchs, theirs, 2)
    for one, other in zip(ours.state.values(), torchs.state.values(), strict=True):
        assert set(one) == set(other) == {"momentum_buffer"}
        torch.testing.assert_close(one["momentum_buffer"], other["momentum_buffer"])
    resumed = Muon(third, lr=0.02)
    resumed.load_state_dict(copy.deepcopy(ours.state_dict()))
    with torch.no_grad():
        for weight, saved in zip(third, mine, strict=True):
            weight.copy_(saved)
    assert all(map(torch.equal, run(resumed, third, 2, first=2), run(ours, mine, 2, first=2)))


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (16, 48), (48, 16)])
def test_an_update_is_orthogonal_and_points_where_the_gradient_does(rows: int, columns: int) -> None:
    (weight,) = weights([(rows, columns)])
    begin = weight.detach().clone()
    (moved,) = run(Muon([weight], lr=1.0, weight_decay=0.0, dtype=torch.float32), [weight], 1)
    update = (begin - moved) / max(1.0, rows / columns) ** 0.5
    generator = torch.Generator().manual_seed(100)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.3  # the smallest singular values of a square matrix need more iterations
    assert values.max() < 1.3
    assert (update * (left @ right)).sum() / min(rows, columns) > 0.8  # 1 = the nearest orthogonal matrix


def test_an_update_does_not_depend_on_the_size_of_the_gradient() -> None:
    matrices = torch.stack(weights([(8, 12)] * 3)).detach()
    torch.testing.assert_close(orthogonal(matrices * 1e3, 5), orthogonal(matrices, 5), rtol=1e-3, atol=1e-4)


def test_a_weight_without_a_gradient_stays_and_a_zero_gradient_only_decays() -> None:
    first, second, third = weights([(4, 4)] * 3)
    before = [weight.detach().clone() for weight in (first, second, third)]
    first.grad, second.grad = torch.zeros(4, 4), torch.ones(4, 4)
    Muon([first, second, third], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(first.detach(), before[0] * 0.95)
    assert not torch.allclose(second, before[1])
    assert torch.equal(third, before[2])
    assert torch.isfinite(second).all()
