"""model/preference.py: known values, and what a loss wants: the chosen answer likelier, the rejected one less so.

Also covers: model/objectives.py
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.objectives import NEEDS_REFERENCE, PreferenceLoss
from model.preference import Answers, preference_losses, reward_losses

KINDS: tuple[PreferenceLoss, ...] = ("dpo", "ipo", "kto", "orpo", "simpo", "cpo")


def answers(policy: float, reference: float, tokens: int) -> Answers:
    return Answers(
        torch.tensor([policy], dtype=torch.float64, requires_grad=True),
        torch.tensor([reference], dtype=torch.float64),
        torch.tensor([tokens]),
    )


def test_known_values() -> None:
    same, other = answers(-5.0, -5.0, 4), answers(-9.0, -9.0, 8)
    assert float(preference_losses("dpo", same, other)) == pytest.approx(math.log(2))
    assert float(preference_losses("ipo", same, other, beta=0.5)) == pytest.approx(1)
    assert float(preference_losses("kto", same, other)) == pytest.approx(1)
    assert float(preference_losses("simpo", same, other, beta=2, margin=0.25)) == pytest.approx(
        math.log(1 + math.exp(-(2 * (-5 / 4 + 9 / 8) - 0.25)))
    )
    assert float(preference_losses("cpo", same, other, beta=0.5)) == pytest.approx(math.log(1 + math.exp(-2)))
    odds = math.log(math.exp(-5 / 4) / (1 - math.exp(-5 / 4))) - math.log(math.exp(-9 / 8) / (1 - math.exp(-9 / 8)))
    assert float(preference_losses("orpo", same, other, beta=0.5)) == pytest.approx(0.5 * math.log(1 + math.exp(-odds)))
    assert float(reward_losses(torch.tensor(2.0), torch.tensor(1.0))) == pytest.approx(math.log(1 + math.exp(-1)))
    assert float(reward_losses(torch.tensor(1.0), torch.tensor(1.0), 0.0, 0.01)) == pytest.approx(math.log(2) + 0.04)


LOG = st.floats(-60, -0.01)


@pytest.mark.parametrize("kind", KINDS)
@given(chosen=LOG, rejected=LOG, tokens=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_the_gradient_lifts_the_chosen_and_lowers_the_rejected(
    kind: PreferenceLoss, chosen: float, rejected: float, tokens: tuple[int, int]
) -> None:
    one, other = answers(chosen, -20.0, tokens[0]), answers(rejected, -20.0, tokens[1])
    loss = preference_losses(kind, one, other)
    assert torch.isfinite(loss).all()
    up, down = torch.autograd.grad(loss.sum(), (one.policy, other.policy))
    if kind != "ipo":  # which wants a certain distance, not the largest
        assert float(up) <= 0 <= float(down)


def test_only_some_losses_look_at_the_reference() -> None:
    for kind in KINDS:
        near = preference_losses(kind, answers(-5.0, -5.0, 4), answers(-9.0, -7.0, 8))
        far = preference_losses(kind, answers(-5.0, -6.0, 4), answers(-9.0, -4.0, 8))
        assert (float(near) != float(far)) == (kind in NEEDS_REFERENCE), kind
