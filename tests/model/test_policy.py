"""model/policy.py: advantages of groups, and PPO's parts as plain loops over tokens compute them."""

from __future__ import annotations

import pytest
import torch

from model.policy import clipped_value_losses, generalised_advantages, group_advantages, token_rewards, whitened

COUNTED = torch.tensor([[False, True, True, True, False], [False, False, True, False, False]])


def test_advantages_are_within_groups_and_zero_where_all_answers_are_alike() -> None:
    found = group_advantages(torch.tensor([1.0, 0.0, 0.0, 1.0, 3.0, 3.0, 3.0, 3.0]), 4)
    torch.testing.assert_close(found[:4], torch.tensor([0.5, -0.5, -0.5, 0.5]) / (3**-0.5 + 1e-4))
    assert found[4:].tolist() == [0.0] * 4
    assert group_advantages(torch.tensor([1.0, 0.0]), 2, scaled=False).tolist() == [0.5, -0.5]


def test_the_score_comes_with_the_last_token_of_an_answer() -> None:
    policy, reference = torch.full((2, 5), -1.0), torch.full((2, 5), -1.5)
    found = token_rewards(torch.tensor([2.0, 3.0]), policy, reference, COUNTED, 0.1)
    wanted = [[0, -0.05, -0.05, 1.95, 0], [0, 0, 2.95, 0, 0]]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_generalised_advantages_are_the_sums_of_their_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(2, 5, generator=generator) for _ in range(2))
    gamma, decay = 0.9, 0.8
    found, returns = generalised_advantages(rewards, values, COUNTED, gamma, decay)
    for row in range(2):
        places = COUNTED[row].nonzero()[:, 0].tolist()
        deltas = []
        for number, place in enumerate(places):
            after = float(values[row, places[number + 1]]) if number + 1 < len(places) else 0.0
            deltas.append(float(rewards[row, place]) + gamma * after - float(values[row, place]))
        for number, place in enumerate(places):
            wanted = sum((gamma * decay) ** k * delta for k, delta in enumerate(deltas[number:]))
            assert float(found[row, place]) == pytest.approx(wanted, abs=1e-6)
            assert float(returns[row, place]) == pytest.approx(wanted + float(values[row, place]), abs=1e-6)
    assert not found[~COUNTED].any()
    assert not returns[~COUNTED].any()


def test_whitened_values_have_mean_0_and_variance_1_among_those_that_count() -> None:
    values = torch.arange(10.0).view(2, 5)
    found = whitened(values, COUNTED)
    assert float(found[COUNTED].mean()) == pytest.approx(0, abs=1e-6)
    assert float(found[COUNTED].var()) == pytest.approx(1, abs=1e-6)
    assert not found[~COUNTED].any()


def test_a_value_is_not_rewarded_for_moving_further_than_the_clip() -> None:
    values, old, returns = torch.tensor([1.0, 0.1]), torch.zeros(2), torch.ones(2)
    assert clipped_value_losses(values, old, returns, 0.2).tolist() == pytest.approx([0.32, 0.405])
